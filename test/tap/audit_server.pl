# audit_server.pl - proves that records say which server wrote them, that a copy of a server is another one, that what an
# old primary recorded outlives pg_rewind in an audit directory of its own, and that a directory that is gone, or that two
# servers use, is noticed at start and refused.
use strict;
use warnings;
use Fcntl qw(:flock);
use File::Path qw(rmtree);
use FindBin;
use lib "$FindBin::RealBin/lib";
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;
use Time::HiRes qw(usleep);

my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;';
my $newest = q{SELECT server || '|' || cluster FROM redoubt.audit ORDER BY sequence DESC LIMIT 1};

sub id { return $_[0]->admin(q{SELECT value FROM redoubt.status() WHERE item = 'server'}) }
sub trail { return $_[0]->admin(q{SELECT value || '|' || severity FROM redoubt.status() WHERE item = 'audit trail'}) }
# In an audit directory, by any server.
sub files { my ($dir) = @_; my @files = sort glob("$dir/segment-*.jsonl"); return @files }

my $node = RedoubtNode->make('audit_server', streaming => 1, conf => [ 'wal_log_hints = on', 'wal_keep_size = 256MB' ]);
my $id = id($node);
my $cluster = $node->admin('SELECT system_identifier FROM pg_control_system()');
like($id, qr/^$uuid$/, 'a server has an id');
$node->ask('regress_lead', $reveal);
is($node->admin($newest), "$id|$cluster", 'and it is in each record, beside that of the cluster');
is($node->admin(q{SELECT record #>> '{device,name}' FROM redoubt.audit ORDER BY sequence DESC LIMIT 1}), $node->name, 'with the name that its administrator gave it');
is($node->admin('SELECT count(*) FROM redoubt.audit WHERE server IS NULL OR cluster IS NULL'), '0', 'none is without');
is(scalar(grep { (stat $_)[2] & 077 } $node->audit_directory . '/server', $node->data_dir . '/redoubt_server'), 0, 'nobody else may read the files');
$node->restart;
is(id($node), $id, 'a restart leaves the id');
$node->stop('immediate');
$node->start;
is(id($node), $id, 'so does a crash');
is($node->verdict, 't', 'the trail verifies');

# A standby is another server of the same cluster.
$node->backup('first');
my $standby = RedoubtNode->new('audit_standby');
$standby->init_from_backup($node, 'first', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my $standby_id = id($standby);
like($standby_id, qr/^$uuid$/, 'a standby has an id');
isnt($standby_id, $id, 'of its own');
like($standby->log_text, qr/LOG:  redoubt audit: the trail in "redoubt_audit" is a copy of that of server $id; this server is $standby_id/, 'and the log says whose trail it continues');
$standby->ask('regress_lead', $reveal);
is($standby->admin($newest), "$standby_id|$cluster", 'its records name it');
like($standby->admin(q{SELECT detail FROM redoubt.audit WHERE event = 'settings' ORDER BY sequence DESC LIMIT 1}), qr/; the trail was copied from server $id/, 'and the trail says where it was copied');
is($standby->verdict, 't', 'and its trail verifies');
$standby->restart;
is(id($standby), $standby_id, 'a restart of the standby leaves the id');
$standby->stop;
$node->restart;
is(id($node), $id, 'the primary is who it was');

# An old primary with an audit directory of its own: what it recorded after the split outlives pg_rewind.
my $outside = $node->basedir . '/trail';
$node->stop;
rename $node->audit_directory, $outside or die;
$node->set_conf("redoubt.audit_directory = '$outside'");
$node->start;
is(id($node), $id, 'a directory that was moved: the same server');
is($node->verdict, 't', 'a directory that was moved: the trail goes on');
$node->backup('second');
my $heir = RedoubtNode->new('audit_heir');
$heir->init_from_backup($node, 'second', has_streaming => 1);
$heir->set_conf("redoubt.audit_directory = '" . $heir->basedir . "/trail'");
$heir->start;
$node->wait_for_catchup($heir, 'replay', $node->lsn('insert'));
isnt(id($heir), $id, 'a standby with a directory of its own has an id of its own');
$heir->promote;
$node->ask('regress_lead', "$reveal" x 6);
$node->admin('CREATE TABLE written_after_the_split (x int)');
my $split = $node->admin(qq{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal' AND server = '$id'});
$heir->ask('regress_lead', $reveal);
$heir->admin('CHECKPOINT');
$node->stop('fast');
my $conf = read_file($node->data_dir . '/postgresql.conf');
my $heir_id = id($heir);
command_ok([ 'pg_rewind', '--target-pgdata', $node->data_dir, '--source-server', $heir->connstr('postgres'), '--config-file', $node->data_dir . '/postgresql.conf' ], 'pg_rewind');
write_file($node->data_dir . '/postgresql.conf', $conf);
$node->append_conf('postgresql.conf', "primary_conninfo = '" . $heir->connstr . "'");
$node->set_standby_mode;
$node->start;
is($node->admin(q{SELECT to_regclass('written_after_the_split') IS NULL}), 't', 'what it wrote after the split is gone');
is(id($node), $id, 'after pg_rewind it is the server that it was');
cmp_ok($node->admin(qq{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal' AND server = '$id'}), '>=', $split, 'and no record is lost');
is($node->verdict, 't', 'its trail verifies');
is($heir->verdict, 't', 'so does that of the new primary');
$node->ask('regress_lead', $reveal);
is($node->admin($newest), "$id|$cluster", 'it goes on recording under its name');
$heir->stop;
$node->stop;
unlink $node->data_dir . '/standby.signal';

# A directory that is gone, or not mounted.
my $aside = "$outside.aside";
rename $outside, $aside or die;
my $log = $node->log_size;
$node->start;
like($node->log_text($log), qr/WARNING:  redoubt audit: the trail of this server is gone from redoubt\.audit_directory\n.*HINT:  Mount or restore the directory and restart/s, 'a directory that is gone: a warning');
$node->fails_with('regress_lead', $reveal, '58030', qr/could not find the segments of the audit trail.*HINT:  Mount or restore/s, 'a directory that is gone: nothing is revealed');
like(trail($node), qr/^the trail of this server is gone.*\|error$/, 'a directory that is gone: status() says so');
ok(!-e $outside, 'a directory that is gone: none is made in its place');
mkdir $outside, 0700 or die;
$node->restart;
$node->fails_with('regress_lead', $reveal, '58030', qr/could not find the segments/, 'an empty directory: nothing is revealed');
rmtree($outside);
rename $aside, $outside or die;
$node->restart;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'put back: values are revealed');
is($node->verdict . '|' . id($node), "t|$id", 'put back: the trail verifies');
$node->stop;
rename $outside, $aside or die;
unlink $node->data_dir . '/redoubt_server' or die;
$node->start;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'told to begin anew, it does');
isnt(id($node), $id, 'as another server');
is($node->verdict, 't', 'with a trail that verifies');
$node->stop;
rmtree($outside);
rename $aside, $outside or die;
$node->start;
is(id($node), $id, 'with the old directory it is the old server');

# The process of a server that was stopped may end later than its postmaster.pid.
$node->stop;
$log = $node->log_size;
my $ending = fork() // die;
if ($ending == 0) {
    open(my $lock, '+<', "$outside/server") or POSIX::_exit(1);
    flock($lock, LOCK_EX) or POSIX::_exit(1);
    write_file("$outside.locked", '');
    sleep 2;
    POSIX::_exit(0);
}
usleep(10_000) until -e "$outside.locked";
$node->start;
waitpid($ending, 0);
is($?, 0, 'the directory was locked');
unlike($node->log_text($log), qr/another server writes/, 'a lock that goes within seconds is waited for');
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'and values are revealed');

# Two servers, one directory.
$node->ask('regress_lead', $reveal);
$node->backup('third');
my $second = RedoubtNode->new('audit_second');
$second->init_from_backup($node, 'third');
$second->start;
like($second->log_text, qr/WARNING:  redoubt audit: another server writes its trail to redoubt\.audit_directory\n.*HINT:  Give each server/s, 'a shared directory: a warning');
$second->fails_with('regress_lead', $reveal, '58030', qr/could not lock the directory of the audit trail.*HINT:  Give each server/s, 'a shared directory: the second server reveals nothing');
like(trail($second), qr/^another server writes.*\|error$/, 'a shared directory: status() says so');
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'a shared directory: the first goes on');
is($node->verdict, 't', 'a shared directory: its trail is whole');
is(id($node), $id, 'a shared directory: it is who it was');
$node->stop('immediate');
$node->start;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'a crash of the first gives the directory to nobody else');
$second->set_conf("redoubt.audit_directory = '" . $second->basedir . "/trail'");
$second->restart;
is($second->ask('regress_lead', $reveal), 'person1@example.com', 'with a directory of its own the second server works');
isnt(id($second), $id, 'as a server of its own');
is($second->verdict, 't', 'its trail verifies');
$second->stop;

# Whatever lies in the place of the files.
for my $file ("$outside/server", $node->data_dir . '/redoubt_server') {
  for my $what ('rubbish', 'empty', 'a pipe', 'a symlink', 'a long one', 'another version') {
    $node->stop;
    rename $file, "$file.aside" or die;
    if ($what eq 'a pipe') { mkfifo($file, 0600) or die }
    elsif ($what eq 'a symlink') { symlink("$file.aside", $file) or die }
    else { write_file($file, { rubbish => "\0\xff" x 100, empty => '', 'a long one' => 'redoubt server 1 id ' . 'a' x 100_000, 'another version' => read_file("$file.aside") =~ s/server 1/server 2/r }->{$what}) }
    my $log = $node->log_size;
    $node->start;
    is($node->ask('regress_lead', $reveal), 'person1@example.com', "$file: $what: values are revealed");
    like(id($node), qr/^$uuid$/, "$file: $what: there is an id");
    unlike($node->log_text($log), qr/terminated by signal/, "$file: $what: no crash");
    is($node->verdict, 't', "$file: $what: the trail verifies");
    $node->stop;
    unlink $file;
    rename "$file.aside", $file or die;
    $node->start;
  }
}

done_testing();
