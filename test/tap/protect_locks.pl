# protect_locks.pl - proves that protecting a column online (docs/operations.md) waits for others as it says: the swap comes while
# others read through views and write what refers to the table, two calls at once take turns, an index is not waited for longer
# than for any lock, a swap that takes too long gives up, redoubt-protect takes its work along when it is ended, and a crash in the
# middle of the swap leaves one state or the other.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file say_to end_of);
use Test::More;
use Time::HiRes qw(sleep time);

my $script = "$FindBin::RealBin/../../bin/redoubt-protect";
my $node = RedoubtNode->make('protect_locks', conf => [ "log_line_prefix = '%u '", 'log_lock_waits = on', "deadlock_timeout = '150ms'", 'autovacuum_naptime = 1' ]);
$node->admin(<<~'SQL');
  CREATE ROLE regress_app LOGIN;
  CREATE ROLE regress_owner LOGIN;
  GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.phone_token(text), redoubt.detokenize(redoubt.phone_token) TO regress_owner;
  GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_app;
  GRANT CREATE ON SCHEMA public TO regress_owner;
  SQL

sub start {
  my ($command, $out, $err) = @_;
  return IPC::Run::start($command, '<', '/dev/null', '>', $out, '2>', $err, IPC::Run::timeout(300));
}
sub call_in_background {
  my ($sql, $err) = @_;
  return start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-U', 'regress_owner', '-d', $node->connstr('postgres'), '-c', $sql ], \my $out, $err);
}
sub clients {
  my ($name, $number, $sql, $err) = @_;
  my $file = $node->basedir . "/$name.sql";
  write_file($file, $sql);
  return start([ 'pgbench', '-n', '-c', $number, '-j', 2, '-T', 600, '-U', 'regress_app', '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ], \my $out, $err);
}
sub stop {
  my ($clients) = @_;
  $clients->signal('TERM');
  $clients->finish;
  return;
}
sub type_of {
  my ($table, $column) = @_;
  return $node->admin("SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = '$table'::regclass AND attname = '$column'");
}

# Others read the table through a view on a view: they lock these before the table, and so does the swap.
$node->ask('regress_owner', <<~'SQL');
  CREATE TABLE viewed (id integer PRIMARY KEY, email text NOT NULL UNIQUE, n integer DEFAULT 0);
  INSERT INTO viewed SELECT i, 'p' || i || '@example.com' FROM generate_series(1, 2000) AS i;
  CREATE VIEW viewed_once AS SELECT id, email, n FROM viewed;
  CREATE VIEW viewed_twice AS SELECT id, email, n FROM viewed_once;
  GRANT SELECT ON viewed, viewed_once, viewed_twice TO regress_app;
  SQL
my ($err, $other) = ('', '');
my $from = $node->log_size;
my $readers = clients('readers', 6, "\\set id random(1, 2000)\nSELECT n FROM viewed_once WHERE id = :id;\nSELECT n FROM viewed_twice WHERE id = :id;\n", \$err);
$node->poll_query_until('postgres', q{SELECT count(*) > 3 FROM pg_stat_activity WHERE usename = 'regress_app'}) or die 'nobody reads';
$node->ask('regress_owner', q{CALL redoubt.protect_column('viewed', 'email', 'redoubt.email_token', build_indexes => true, retries => 20)});
is(type_of('viewed', 'email'), 'email_token', 'the swap comes while others read through views') or diag(type_of('viewed', 'email'));
stop($readers);
unlike($err, qr/ERROR|aborted/, 'no reader met an error') or diag($err);
unlike($node->log_text($from), qr/deadlock|^regress_app .*still waiting/m, 'nor waited for long');

# Others write a table that refers to it: they lock that one first.
$node->ask('regress_owner', <<~'SQL');
  CREATE TABLE parent (email text PRIMARY KEY, n integer DEFAULT 0);
  INSERT INTO parent SELECT 'p' || i || '@example.com' FROM generate_series(1, 2000) AS i;
  CREATE TABLE child (id serial PRIMARY KEY, email text NOT NULL REFERENCES parent);
  CREATE TABLE grandchild (id serial PRIMARY KEY, email text NOT NULL REFERENCES parent, child integer REFERENCES child);
  GRANT SELECT, INSERT ON parent, child, grandchild TO regress_app;
  GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO regress_app;
  SQL
$err = '';
$from = $node->log_size;
my $writers = clients('writers', 6, "\\set id random(1, 2000)\nINSERT INTO child (email) VALUES ('p' || :id || '\@example.com');\nINSERT INTO grandchild (email) VALUES ('p' || :id || '\@example.com');\n", \$err);
$node->poll_query_until('postgres', 'SELECT count(*) > 50 FROM child') or die 'nobody writes';
$node->ask('regress_owner', q{CALL redoubt.protect_column('child', 'email', 'redoubt.email_token', build_indexes => true, retries => 20, share => 0.5)});
is(join(',', map { type_of($_, 'email') } qw(parent child grandchild)), 'email_token,email_token,email_token', 'the swap comes while others write what refers to it');
stop($writers);
unlike($err, qr/ERROR|aborted/, 'no writer met an error') or diag($err);
unlike($node->log_text($from), qr/deadlock|^regress_app .*still waiting/m, 'nor waited for long');

# Calls at once: on one column, on two columns of a table, on both ends of a foreign key.
for my $round (1 .. 3) {
  $node->ask('regress_owner', <<~'SQL');
    SET client_min_messages = warning;
    DROP TABLE IF EXISTS both_of, refers CASCADE;
    CREATE TABLE both_of (id integer PRIMARY KEY, email text NOT NULL UNIQUE, phone text, copy text);
    INSERT INTO both_of SELECT i, 'p' || i || '@example.com', '+43123' || i, 'p' || i || '@example.com' FROM generate_series(1, 3000) AS i;
    CREATE TABLE refers (id integer PRIMARY KEY, email text REFERENCES both_of (email));
    INSERT INTO refers SELECT i, 'p' || i || '@example.com' FROM generate_series(1, 1000) AS i;
    SQL
  my @errors = ('') x 5;
  my $call = q{CALL redoubt.protect_column('%s', '%s', 'redoubt.%s_token', share => 0.9, batch => 300, build_indexes => true)};
  my @calls = (sprintf($call, 'both_of', 'email', 'email'), sprintf($call, 'refers', 'email', 'email'), sprintf($call, 'both_of', 'phone', 'phone'), sprintf($call, 'both_of', 'email', 'email'));
  my @at_once = map { call_in_background($calls[$_], \$errors[$_]) } 0 .. $#calls;
  sleep 0.4;
  push @at_once, call_in_background(q{CALL redoubt.protect_undo('both_of', 'email')}, \$errors[4]) if $round == 3;
  $_->finish for @at_once;
  # Who comes after the swap, or after the end of it by another call, is told so.
  unlike(join('', @errors), qr/40P01|deadlock/, "round $round: no deadlock");
  unlike(join('', @errors), qr/ERROR:  (?!55000|42703)/, "round $round: nor another error") or diag(join('', @errors));
  if (type_of('both_of', 'email') eq 'text') { $node->ask('regress_owner', $calls[0]) }
  if (type_of('both_of', 'phone') eq 'text') { $node->ask('regress_owner', $calls[2]) }
  is($node->ask('regress_owner', 'SELECT count(*) FROM both_of WHERE redoubt.detokenize(email) IS DISTINCT FROM copy'), 0, "round $round: every value is there");
  is($node->admin('SELECT count(*) FROM redoubt.protection'), 0, "round $round: nothing is left");
}

# Somebody writes, and does not commit: an index is given up as any lock is, so that nobody waits behind it.
$node->ask('regress_owner', <<~'SQL');
  CREATE TABLE written (id integer PRIMARY KEY, email text UNIQUE);
  INSERT INTO written SELECT i, 'p' || i || '@example.com' FROM generate_series(1, 100) AS i;
  GRANT SELECT, INSERT, UPDATE ON written TO regress_app;
  SQL
$node->ask('regress_owner', q{CALL redoubt.protect_column('written', 'email', 'redoubt.email_token', swap => false)});
my $writer = $node->session_of('regress_app');
say_to($writer, q{BEGIN; UPDATE written SET email = 'new@example.com' WHERE id = 1});
$err = '';
my $building = call_in_background(q{CALL redoubt.protect_column('written', 'email', 'redoubt.email_token', swap => false, build_indexes => true, retries => 5)}, \$err);
my $longest = 0;
for my $i (1 .. 20) {
  my $began = time;
  $node->ask('regress_app', "INSERT INTO written VALUES (1000 + $i, 'i$i\@example.com')");
  $longest = time - $began if time - $began > $longest;
}
$building->finish;
like($err, qr/55P03/, 'an index that has to wait is given up');
cmp_ok($longest, '<', 1, 'nobody waits behind it for long');
say_to($writer, 'COMMIT');

# A view that somebody is changing: looked at for as long as a lock may take.
$node->ask('regress_owner', 'CREATE VIEW written_list AS SELECT email FROM written');
$node->ask('regress_owner', q{CALL redoubt.protect_column('written', 'email', 'redoubt.email_token', swap => false, build_indexes => true)});
my $changer = $node->session_of('regress_owner');
say_to($changer, 'BEGIN; ALTER VIEW written_list RENAME TO written_rest');
$node->fails_with('regress_owner', q{CALL redoubt.protect_column('written', 'email', 'redoubt.email_token', retries => 1)}, '55P03', qr/could not lock table/, 'a view that is being changed');
say_to($changer, 'COMMIT');
end_of($_) for $writer, $changer;

# More than can be done in the time: told, and nothing is changed.
$node->ask('regress_owner', join(';', map { "CREATE VIEW written_$_ AS SELECT id, email FROM written WHERE id = $_" } 1 .. 40));
$node->fails_with('regress_owner', q{CALL redoubt.protect_column('written', 'email', 'redoubt.email_token', retries => 8, lock_timeout => '3 ms')}, '55000', qr/takes longer than/, 'a swap that takes longer');
is(type_of('written', 'email'), 'text', 'a swap that takes longer: nothing is changed');
is($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'protect' AND operation = 'swap' AND detail ~ 'written'}), 0, 'nor recorded');
$node->ask('regress_owner', q{CALL redoubt.protect_column('written', 'email', 'redoubt.email_token', lock_timeout => '2 s')});
is($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'protect' AND operation = 'swap' AND detail = 'column email of public.written'}), 1, 'a swap is recorded');
is($node->admin(q{SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relkind = 'v' AND a.atttypid = 'redoubt.email_token'::regtype AND c.relname ~ '^written_'}), 41, 'with more time, it makes forty-one views anew');

# The script, ended: what it does on the server ends with it, whatever it is at.
sub small {
  $node->ask('regress_owner', <<~'SQL');
    SET client_min_messages = warning;
    DROP TABLE IF EXISTS small;
    CREATE TABLE small (id integer PRIMARY KEY, email text UNIQUE);
    INSERT INTO small SELECT i, 'p' || i || '@example.com' FROM generate_series(1, 20000) AS i;
    SQL
  return;
}
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
my @script = ('sh', $script, '-U', 'regress_owner', '-d', 'postgres');
my $at_work = q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'regress_owner' AND backend_type = 'client backend' AND state <> 'idle'};
local $SIG{INT} = 'DEFAULT';  # where it is ignored, as in the background of a shell, no script can hear it
for my $signal (qw(TERM INT HUP)) {
  small();
  my $run = start([ @script, '--batch', 100, '--share', '0.05', 'small', 'email', 'redoubt.email_token' ], \my $out, \$err);
  $node->poll_query_until('postgres', 'SELECT sum(rows_done) > 300 FROM redoubt.progress') or die 'nothing is filled';
  $run->signal($signal);
  $run->finish;
  is($run->result, 130, "$signal: the script says that it was ended");
  is($node->admin($at_work), 0, "$signal: nothing of it is at work on the server");
  my $done = $node->admin('SELECT rows_done FROM redoubt.progress');
  sleep 1;
  is($node->admin('SELECT rows_done FROM redoubt.progress'), $done, "$signal: nothing goes on");
  is(type_of('small', 'email'), 'text', "$signal: nor is swapped");
}
# While it makes an index, and while it waits.
my $holder = $node->session_of('regress_owner');
say_to($holder, 'BEGIN; LOCK TABLE small IN ROW EXCLUSIVE MODE');
my $run = start([ @script, '--share', '1', 'small', 'email', 'redoubt.email_token' ], \my $out, \$err);
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^CREATE UNIQUE INDEX CONCURRENTLY' AND state = 'active'}) or die 'no index is made';
$run->signal('TERM');
$run->finish;
say_to($holder, 'COMMIT');
end_of($holder);
is($node->admin($at_work), 0, 'in the middle of an index: nothing is at work on the server');
ok(IPC::Run::run([ @script, 'small', 'email', 'redoubt.email_token' ], '>', \$out, '2>', \$err), 'and it goes on afterwards') or diag($err);
is(type_of('small', 'email'), 'email_token', 'to the end');
ok(!IPC::Run::run([ @script, 'small', 'nothing', 'redoubt.email_token' ], '>', \$out, '2>', \$err), 'an error is the script\'s, too');
IPC::Run::run([ @script, '--check', 'small', 'email', 'redoubt.email_token' ], '>', \$out, '2>', \$err);
is($? >> 8, 2, '--check says that something stands in the way') or diag($err);
like($out, qr/^error \| .* it is a token column already/m, '--check lists');

# A crash at the swap: it was, or it was not, and it goes on.
for my $moment (0.00, 0.05, 0.1, 0.15) {
  small();
  $node->ask('regress_owner', q{CREATE VIEW small_list AS SELECT id, email FROM small; CALL redoubt.protect_column('small', 'email', 'redoubt.email_token', swap => false, build_indexes => true)});
  my $swap = call_in_background(q{CALL redoubt.protect_column('small', 'email', 'redoubt.email_token')}, \$other);
  sleep $moment;
  $node->stop('immediate');
  $swap->finish;
  $node->start;
  $node->ask('regress_owner', q{CALL redoubt.protect_column('small', 'email', 'redoubt.email_token')}) if type_of('small', 'email') eq 'text';
  is($node->ask('regress_owner', q{SELECT count(*) FROM small WHERE redoubt.detokenize(email) IS DISTINCT FROM 'p' || id || '@example.com'}), 0, "a crash after $moment s: every value is there");
  is($node->admin('SELECT count(*) FROM redoubt.protection'), 0, "a crash after $moment s: nothing is left");
  $node->ask('regress_owner', 'DROP VIEW small_list');
}

is($node->verdict, 't', 'the audit trail verifies');
done_testing();
