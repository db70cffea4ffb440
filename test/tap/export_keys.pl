# export_keys.pl - proves that exported keys open the values of a dump on a server with another key-encryption key,
# where they replace those that nobody could open, and in a database that has keys of its own; that they do so after a
# restart, and without the first server's key-encryption key; and that neither passphrase nor key is in a server log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file);
use Test::More;

my $passphrase = 'correct horse battery staple';
my @conf = ('log_error_verbosity = verbose', 'log_min_messages = debug1');
my $here = RedoubtNode->make('here', conf => \@conf);
my $there = RedoubtNode->make('there', conf => \@conf, people => 0);
$here->admin(q{SELECT redoubt.rotate_key('default'); GRANT redoubt_admin TO CURRENT_USER; CREATE ROLE regress_admin LOGIN IN ROLE redoubt_admin; GRANT EXECUTE ON FUNCTION redoubt.export_keys TO regress_admin});
$here->ask('regress_lead', q{INSERT INTO person (id, email) VALUES (100, 'late@example.com')});
my $values = 'SELECT id, redoubt.detokenize(email), redoubt.detokenize(phone) FROM person ORDER BY id';
my $opened = $here->ask('regress_lead', $values);
my $export = $here->ask('regress_admin', "SELECT redoubt.export_keys('$passphrase')");
like($export, qr/^redoubt_keys_[\w-]+$/, 'an export');
isnt($here->ask('regress_admin', "SELECT redoubt.export_keys('$passphrase')"), $export, 'is another one each time');

# A copy of the database on a server with a key-encryption key of its own.
my $dump = $here->basedir . '/dump.sql';
$here->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a dump');
$there->admin('CREATE EXTENSION redoubt; CREATE ROLE regress_lead LOGIN; CREATE ROLE regress_agent LOGIN; CREATE ROLE regress_clerk LOGIN; CREATE ROLE regress_admin LOGIN; CREATE DATABASE copy');
$there->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'copy', '-f', $dump ], 'is restored on another server');
$there->admin('GRANT redoubt_admin TO regress_admin', database => 'copy');
$there->fails_with('regress_lead', $values, '55000', qr/was wrapped by the key-encryption key/, 'where no value opens', database => 'copy');
$there->fails_with('regress_admin', "SELECT redoubt.import_keys('$export', '$passphrase, nearly')", '28P01', qr/does not open with this passphrase/,
  'nor the export with another passphrase', database => 'copy');
is($there->ask('regress_admin', "SELECT string_agg(name || ' ' || version || ' ' || outcome, ', ' ORDER BY version) FROM redoubt.import_keys('$export', '$passphrase')", database => 'copy'),
  'default 1 rewrapped, default 2 rewrapped', 'the keys are imported');
is($there->ask('regress_lead', $values, database => 'copy'), $opened, 'and every value opens');
$there->restart;
is($there->ask('regress_lead', $values, database => 'copy'), $opened, 'after a restart, too');
is($there->ask('regress_lead', q{SELECT count(*) FROM person WHERE email = 'person1@example.com'}, database => 'copy'), '1', 'values are found');
is($there->ask('regress_admin', 'SELECT count(*) FROM redoubt.verify_keys() WHERE NOT opens', database => 'copy'), '0', 'every key opens');

# A database with keys of its own: the table comes by itself.
$there->admin(q{CREATE DATABASE own});
$there->admin(q{CREATE EXTENSION redoubt; SELECT redoubt.create_key('ours'); CREATE TABLE person (id integer, email redoubt.email_token, phone redoubt.phone_token);
  GRANT ALL ON person TO regress_lead;
  GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.detokenize(redoubt.phone_token) TO regress_lead; GRANT redoubt_admin TO regress_admin}, database => 'own');
my $rows = $here->admin('COPY person TO STDOUT');
my $file = $here->basedir . '/rows';
write_file($file, "$rows\n");
$there->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'own', '-c', "\\copy person FROM '$file'" ], 'rows alone are copied');
is($there->ask('regress_admin', "SELECT string_agg(name || ' ' || version || ' ' || outcome, ', ' ORDER BY version) FROM redoubt.import_keys('$export', '$passphrase')", database => 'own'),
  'default 1 added, default 2 added', 'the keys are merged');
is($there->ask('regress_lead', $values, database => 'own'), $opened, 'and every value opens');
is($there->ask('regress_admin', q{SELECT string_agg(name || ' ' || version, ', ' ORDER BY name, version) FROM redoubt.verify_keys() WHERE opens}, database => 'own'),
  'default 1, default 2, ours 1', 'the others are still there');

for my $node ($here, $there) {
  my $log = $node->log_text;
  unlike($log, qr/correct horse|redoubt_keys_/, $node->name . ': neither passphrase nor export is in the log');
  like($node->admin(q{SELECT string_agg(DISTINCT operation || ' ' || outcome, ', ') FROM redoubt.audit WHERE operation LIKE '%port_keys'}),
    $node->name eq 'here' ? qr/^export_keys success$/ : qr/^import_keys failure, import_keys success$/, $node->name . ': it is on record');
  is($node->verdict, 't', $node->name . ': the trail verifies');
}
done_testing();
