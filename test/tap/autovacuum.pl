# autovacuum.pl - proves that standing code on a labelled table keeps no maintenance from its work: an index over a function
# of the column is vouched for, or was let through by an admin in the mode observe, and autovacuum cleans, summarises and
# analyses the table all the same, without an error in the log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use IPC::Run;
use Test::More;

my $node = RedoubtNode->make('autovacuum', people => 0, conf => [
  'autovacuum_naptime = 1s', 'autovacuum_vacuum_threshold = 1', 'autovacuum_vacuum_scale_factor = 0',
  'autovacuum_analyze_threshold = 1', 'autovacuum_analyze_scale_factor = 0', 'log_autovacuum_min_duration = 0' ]);
$node->admin(<<~'SQL');
  CREATE EXTENSION redoubt;
  CREATE FUNCTION vouched(text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN lower($1); END';
  CREATE FUNCTION unknown(text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN lower($1); END';
  SECURITY LABEL FOR redoubt ON FUNCTION vouched(text) IS 'trusted';
  SQL

sub table {
  my ($name, $function, $mode) = @_;
  $node->admin(<<~"SQL");
    SET redoubt.mode = $mode;
    CREATE TABLE $name (id int, email text) WITH (autovacuum_enabled = off);
    CREATE INDEX ON $name USING brin ($function(email)) WITH (autosummarize = on, pages_per_range = 1);
    CREATE INDEX ON $name ($function(email));
    SECURITY LABEL FOR redoubt ON COLUMN $name.email IS 'text_token';
    SQL
  $node->admin("INSERT INTO $name SELECT n, 'v' || n FROM generate_series(1, 2000) AS n; DELETE FROM $name WHERE id % 2 = 0");
  return;
}

# Without a word of an admin, none of it comes to be.
$node->fails_with('', q{CREATE TABLE refused (email text); CREATE INDEX ON refused USING brin (unknown(email)); SECURITY LABEL FOR redoubt ON COLUMN refused.email IS 'text_token'},
  '42501', qr/would hand protected columns to code that is not trusted.*SECURITY LABEL FOR redoubt ON FUNCTION/s, 'an index over unknown code: no label');
table('vouched_for', 'vouched', 'enforce');
table('let_through', 'unknown', 'observe');
my $offset = $node->log_size;
$node->admin("ALTER TABLE $_ SET (autovacuum_enabled = on)") for qw(vouched_for let_through);

for my $name (qw(vouched_for let_through)) {
  ok($node->poll_query_until('postgres', <<~"SQL"), "$name: autovacuum cleans and analyses it");
    SELECT autovacuum_count > 0 AND autoanalyze_count > 0 AND n_dead_tup = 0 FROM pg_stat_user_tables WHERE relname = '$name'
    SQL
  is($node->admin("SELECT count(*) FROM $name WHERE id % 2 = 1"), '1000', "$name: the rows are there");
}
unlike($node->log_text($offset), qr/ERROR:|terminated by signal/, 'no error in the log');
is($node->admin(q{SELECT count(*) FROM redoubt.usage WHERE operation = 'read'}), '0', 'nobody is charged for it');

# What the relation cache holds of a table, such as its triggers, is read anew whenever somebody cleans or analyses it: also
# while others plan commands that look at all of them.
$node->admin(<<~'SQL');
  CREATE TABLE parent (id integer PRIMARY KEY, email text UNIQUE, n integer);
  SECURITY LABEL FOR redoubt ON COLUMN parent.email IS 'text_token';
  INSERT INTO parent SELECT n, 'p' || n, 0 FROM generate_series(1, 200) AS n;
  SQL
$node->admin("CREATE TABLE child_$_ (id integer REFERENCES parent ON UPDATE CASCADE, email text REFERENCES parent (email) ON UPDATE CASCADE ON DELETE SET NULL)") for 1 .. 8;
my %script = (
  'write.sql' => "\\set id random(1, 200)\nUPDATE parent SET n = n + 1 WHERE id = :id;\nUPDATE parent SET email = email || '' WHERE id = :id;\n",
  'clean.sql' => "ANALYZE parent;\nVACUUM parent;\nANALYZE child_3;\n");
my $folder = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::append_to_file("$folder/$_", $script{$_}) for keys %script;
my @load = map { [ 'pgbench', '-n', '-c', $_->[1], '-T', 6, '-f', "$folder/$_->[0]", '-h', $node->host, '-p', $node->port, '-U', 'postgres', 'postgres' ] } ([ 'write.sql', 3 ], [ 'clean.sql', 2 ]);
my @running = map { IPC::Run::start($_, '>', '/dev/null', '2>', '/dev/null') } @load;
$_->finish for @running;
is($running[0]->result(0), 0, 'commands are planned while tables are cleaned and analysed');
is($node->admin('SELECT count(*) FROM parent'), '200', 'and the server goes on');

done_testing();
