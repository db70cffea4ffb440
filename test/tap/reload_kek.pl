# reload_kek.pl - proves that the key-encryption key is changed in a running server: sessions that are open go on
# revealing and tokenizing, the trail goes on in a segment chained under the new one and verifies, data keys are
# wrapped anew, and the old one is let go of; that nothing changes where the new one cannot be read, or one in use would
# be lost; that a command that hangs can be cancelled; that a server which started without a key gets one; that what was
# changed outlives a crash of a session and a restart; and that clients and the trail bear it under load.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;
use Time::HiRes qw(usleep);

my $node = RedoubtNode->make('reload', conf => ['restart_after_crash = on']);
my $old = $node->basedir . '/kek';
my $new = $node->new_kek('kek2');
my $third = $node->new_kek('kek3');
my $reload = 'SELECT redoubt.reload_kek()';
my $fingerprint = q{SELECT value FROM redoubt.status() WHERE item = 'key-encryption key'};
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';

# configure LINE...: and waits until new sessions see them.
my $round = 0;
sub configure {
  my (@lines) = @_;
  ++$round;
  $node->set_conf(@lines, "cluster.round = '$round'");
  $node->reload;
  $node->poll_query_until('postgres', "SELECT current_setting('cluster.round', true) = '$round'") or die 'the configuration was not read';
  return;
}

my $first = $node->admin($fingerprint);
my $session = $node->background_psql('postgres', extra_params => [ '-U', 'regress_lead' ]);
is($session->query_safe($reveal), 'person1@example.com', 'a session reveals');
is($node->admin("SELECT (redoubt.reload_kek()).kek_fingerprint = ($fingerprint)"), 't', 'nothing to do: it stays what it is');
is($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE operation = 'reload_kek'}), '0', 'and nothing is on record');

# What is refused changes nothing.
configure("redoubt.kek_file = '$new'");
$node->fails_with('', $reload, '55000', qr/was not changed: $first, which is in use, would be lost.*HINT:  Configure it as the previous one/s, 'the key in use would be lost');
configure("redoubt.kek_file = '$new.missing'", "redoubt.previous_kek_file = '$old'");
$node->fails_with('', $reload, 'F0000', qr/was not changed: redoubt\.kek_file cannot be opened/, 'the new key is not there');
configure("redoubt.kek_file = '$new'", "redoubt.previous_kek_file = '$old.missing'");
$node->fails_with('', $reload, 'F0000', qr/was not changed: redoubt\.previous_kek_file cannot be opened/, 'the old key is not there');
configure("redoubt.kek_file = ''", "redoubt.kek_command = 'sleep 30; cat $new'", "redoubt.previous_kek_file = '$old'");
my ($in, $out) = ('', '');
my $hung = start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', $reload ], \$in, '>&', \$out);
usleep(700_000);
my $began = time;
$node->admin(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%reload_kek%' AND pid <> pg_backend_pid()});
$hung->finish;
like($out, qr/ERROR:  the key-encryption key was not changed: redoubt\.kek_command was cancelled/, 'a command that hangs is cancelled');
cmp_ok(time - $began, '<', 10, 'at once');
$node->fails_with('regress_lead', $reload, '42501', qr/permission denied/, 'not everybody may');
is($node->admin($fingerprint), $first, 'nothing has changed');
is($session->query_safe($reveal), 'person1@example.com', 'and the session reveals');

# The change.
configure("redoubt.kek_command = ''", "redoubt.kek_file = '$new'", "redoubt.previous_kek_file = '$old'");
$node->admin($reload);
my $second = $node->admin($fingerprint);
isnt($second, $first, 'another key is in use');
is($session->query_safe($reveal), 'person1@example.com', 'the same session reveals');
is($session->query_safe(q{INSERT INTO person VALUES (6, 'person6@example.com') RETURNING id}), '6', 'and tokenizes');
is($node->verdict, 't', 'the trail verifies');
is($node->admin(q{SELECT count(DISTINCT segment), max(detail) FROM redoubt.audit WHERE operation = 'reload_kek' OR event = 'reveal' AND sequence < (SELECT min(sequence) FROM redoubt.audit WHERE operation = 'reload_kek')}),
  "2|key-encryption key $second, previous $first", 'the change is on record, in a segment of its own');
is($node->admin(q{SELECT string_agg(DISTINCT kek_fingerprint, ' ') FROM redoubt.key}), $first, 'data keys are wrapped by the old one');
my $public = $node->admin('SELECT redoubt.audit_public_key()');
my $closed = () = $node->audit_segments;
--$closed;
my $heads = '';
for (1 .. 150) {
  $heads = read_file($node->audit_directory . '/heads.jsonl');
  last if $heads =~ /^\{"head":$closed,.*"public_key":"$public"/m;
  usleep(200_000);
}
like($heads, qr/^\{"head":$closed,.*"public_key":"$public"/m, 'closed segments are signed by the new one');
configure("redoubt.previous_kek_file = ''");
$node->fails_with('', $reload, '55000', qr/was not changed: $first, which is in use, would be lost/, 'which therefore cannot be left out');
is($node->admin('SELECT redoubt.rewrap_keys()'), '1', 'they are wrapped anew');
is($node->admin('SELECT (redoubt.reload_kek()).previous_kek_fingerprint IS NULL'), 't', 'and the old one is left out');
is($session->query_safe($reveal), 'person1@example.com', 'the same session reveals');
is($session->query_safe(q{SET redoubt.reveal = 'auto'; SELECT email FROM person WHERE id = 6}), 'person6@example.com', 'what it wrote, too');
is($node->verdict, 't', 'the trail from before verifies by its signatures');

# A crash of a session, and a restart.
my $pid = $node->admin(q{SELECT pid FROM pg_stat_activity WHERE usename = 'regress_lead'});
my $offset = $node->log_size;
kill 'KILL', $pid;
$node->came_back($offset);
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'after a crash of a session it is the new one');
is($node->admin($fingerprint), $second, 'by its fingerprint');
$node->restart;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'after a restart, too');
configure("redoubt.previous_kek_file = '$old'");
is($node->admin("SELECT (redoubt.reload_kek()).previous_kek_fingerprint"), $first, 'the old one can be had again');
is($node->verdict, 't', 'and the whole trail verifies');

# Under load, back and forth.
my $script = $node->basedir . '/load.sql';
write_file($script, "SELECT redoubt.detokenize(email) FROM person WHERE id = 1;\nSELECT redoubt.email_token('a\@example.com');\n");
my $printed = $node->basedir . '/load.out';
my $load = start([ 'pgbench', '-n', '-c', '4', '-T', '8', '-f', $script, '-U', 'regress_lead', $node->connstr('postgres') ], '<', '/dev/null', '>&', $printed);
for my $pair ([ $old, $new ], [ $new, $old ], [ $old, $new ], [ $new, $old ]) {
  configure("redoubt.kek_file = '$pair->[0]'", "redoubt.previous_kek_file = '$pair->[1]'");
  $node->admin($reload);
}
$load->finish;
like(read_file($printed), qr/number of failed transactions: 0 /, 'under load: no client failed');
unlike(read_file($printed), qr/ERROR|FATAL|aborted/, 'under load: nor met an error');
is($node->verdict, 't', 'under load: the trail verifies');
cmp_ok($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE operation = 'reload_kek'}), '>=', 7, 'under load: every change is on record');

# None at the start.
configure("redoubt.kek_file = '$third.missing'", "redoubt.previous_kek_file = ''");
$node->restart;
$node->fails_with('regress_lead', $reveal, '55000', qr/has no key-encryption key: redoubt\.kek_file cannot be opened/, 'a server without a key');
configure("redoubt.kek_file = '$new'");
is($node->admin('SELECT (redoubt.reload_kek()).kek_fingerprint'), $second, 'gets one');
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'and reveals');
done_testing();
