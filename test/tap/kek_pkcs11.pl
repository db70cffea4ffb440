# kek_pkcs11.pl - proves that the key-encryption key may lie in a PKCS#11 token, read by redoubt.kek_command as
# docs/operations.md says: at start, by redoubt.reload_kek(), and that without the PIN, or with the token gone, the server
# says so.  The token is SoftHSM's; skipped where Debian's packages softhsm2 and opensc are not installed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my ($module) = grep { -e } glob('/usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so');
plan skip_all => 'softhsm2 and opensc are not installed' unless defined $module && grep { -x "$_/pkcs11-tool" } split /:/, $ENV{PATH};

my $node = RedoubtNode->make('pkcs11');
my $place = $node->basedir;
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
my ($key) = read_file("$place/kek") =~ /(\w+)/;
my $fingerprint = $node->admin(q{SELECT value FROM redoubt.status() WHERE item = 'key-encryption key'});
mkdir "$place/tokens" or die "$place/tokens: $!";
write_file("$place/softhsm2.conf", "directories.tokendir = $place/tokens\nobjectstore.backend = file\n");
write_file("$place/pin", "271828\n");
$ENV{SOFTHSM2_CONF} = "$place/softhsm2.conf";
my @tool = ('pkcs11-tool', '--module', $module, '--token-label', 'redoubt');
command_ok([ 'pkcs11-tool', '--module', $module, '--init-token', '--slot-index', '0', '--label', 'redoubt', '--so-pin', '314159' ], 'a token');
command_ok([ @tool, '--login', '--login-type', 'so', '--so-pin', '314159', '--init-pin', '--pin', '271828' ], 'with a PIN');
command_ok([ @tool, '--login', '--pin', '271828', '--write-object', "$place/kek", '--type', 'data', '--label', 'redoubt-kek', '--private' ],
  'takes the key-encryption key');
delete $ENV{SOFTHSM2_CONF};

my $command = "SOFTHSM2_CONF=$place/softhsm2.conf pkcs11-tool --module $module --token-label redoubt --login --pin \$(cat $place/pin) --read-object --type data --label redoubt-kek";
$node->set_conf("redoubt.kek_file = ''", "redoubt.kek_command = '$command'");
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('redoubt.kek_file') = ''}) or die 'the configuration was not read';
is($node->admin('SELECT (redoubt.reload_kek()).kek_fingerprint'), $fingerprint, 'it is read in the running server');
unlink "$place/kek";
$node->restart;
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'and when the server starts, which reveals');
is($node->admin(q{SELECT value FROM redoubt.status() WHERE item = 'key-encryption key'}), $fingerprint, 'by that key');
write_file("$place/pin", "999999\n");
$node->fails_with('', 'SELECT redoubt.reload_kek()', 'F0000', qr/was not changed: redoubt\.kek_command failed with exit status/, 'with another PIN it is not read');
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'and the server goes on');
$node->restart;
$node->fails_with('regress_lead', $reveal, '55000', qr/redoubt\.kek_command failed with exit status/, 'nor when it starts');
write_file("$place/pin", "271828\n");
is($node->admin('SELECT (redoubt.reload_kek()).kek_fingerprint'), $fingerprint, 'with the right one it is');
is($node->ask('regress_lead', $reveal), 'person1@example.com', 'and the server reveals');
unlike($node->log_text, qr/271828|$key/, 'neither PIN nor key is in the log');
done_testing();
