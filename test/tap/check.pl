# check.pl - redoubt-check: what it prints and its exit status, where all is well and where it is not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(run);
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('check');
$node->safe_psql('postgres', 'CREATE ROLE regress_monitor LOGIN IN ROLE redoubt_auditor');

# What the script prints, and its exit status.
sub check {
  my ($role, @options) = @_;
  local $ENV{PATH} = $node->config_data('--bindir') . ":$ENV{PATH}";
  my ($out, $err) = ('', '');
  run([ "$FindBin::RealBin/../../bin/redoubt-check", '-h', $node->host, '-p', $node->port, '-d', 'postgres', '-U', $role, @options ],
    '<', '/dev/null', '>', \$out, '2>', \$err);
  return ($? >> 8, $out . $err);
}

# One that should have this exit status and print this.
sub says {
  my ($what, $status, $like, @check) = @_;
  my ($got, $out) = check(@check);
  is($got, $status, "$what: exit status $status") or diag($out);
  like($out, $like, "$what: says so");
  return;
}

says('all is well', 0, qr/\AREDOUBT OK - \d+ checks\n\z/, 'regress_monitor');
$node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1');
says('the trail is whole', 0, qr/\AREDOUBT OK - \d+ checks\n\z/, 'regress_monitor', '--verify');
like($node->admin(q{SELECT value || ' ' || severity FROM redoubt.status() WHERE item = 'audit verified'}), qr/: whole ok$/, 'status() knows of the verification');
says('a role that may not ask', 3, qr/\AREDOUBT UNKNOWN - ERROR:  permission denied for function status/, 'regress_clerk');

$node->set_conf('redoubt.superuser_access = on');
$node->reload;
$node->poll_query_until('postgres', q{SELECT value = 'on' FROM redoubt.status() WHERE item = 'superuser access'}) or die 'no reload';
says('a warning', 1, qr/\AREDOUBT WARNING - 1 of \d+ checks\nwarning: superuser access: on\n\z/, 'regress_monitor');

# A trail that somebody changed.
my ($segment) = glob $node->data_dir . '/redoubt_audit/segment-*.jsonl';
my $trail = read_file($segment);
(my $altered = $trail) =~ s/"regress_lead"/"regress_clerk"/;
isnt($altered, $trail, 'a name in the trail is changed');
write_file($segment, $altered);
says('a broken trail', 2, qr/\AREDOUBT CRITICAL - 2 of \d+ checks\nerror: audit verified: .*: not whole; see verify_audit\(\)\nwarning: superuser access: on\n\z/,
  'regress_monitor', '--verify');
says('a broken trail that was found before', 2, qr/^error: audit verified: /m, 'regress_monitor');
write_file($segment, $trail);

# Without the key-encryption key.
$node->stop;
$node->set_conf("redoubt.kek_file = '" . $node->basedir . "/nowhere'");
$node->start;
says('no key-encryption key', 2, qr/^error: key-encryption key: none: /m, 'regress_monitor');
$node->stop;
says('no server', 3, qr/\AREDOUBT UNKNOWN - psql: error: connection to server/, 'regress_monitor');

done_testing();
