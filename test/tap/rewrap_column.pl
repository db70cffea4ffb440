# rewrap_column.pl - proves that sealing a column anew can be stopped at any point, by a cancel, a killed session or a
# crash, and goes on where it ended; that it loses no change of clients who write the same rows meanwhile, nor fails
# them; that it waits, holding nothing, for rows that others hold, and finds what a transaction from before the
# rotation commits late; that the version is free to be retired then; that the server log, with every statement in it,
# holds no value; and what logical decoding makes of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;
use Time::HiRes qw(usleep);

my $rows = 20_000;
my $node = RedoubtNode->make('rewrap', conf => [ 'wal_level = logical', 'log_min_messages = debug1', 'autovacuum_naptime = 1s' ]);
$node->admin(q{ALTER TABLE person ADD COLUMN n integer NOT NULL DEFAULT 0; CREATE INDEX ON person (lower(email)); GRANT ALL ON person TO regress_lead});
$node->ask('regress_lead', "INSERT INTO person (id, email) SELECT i, 'Person' || i || '\@example.com' FROM generate_series(6, $rows) AS i");
my $values = q{SELECT md5(string_agg(id || ' ' || redoubt.detokenize(email), ',' ORDER BY id)) FROM person};
my $before = $node->ask('regress_lead', $values);
my $call = q{CALL redoubt.rewrap_column('person', 'email', batch => 50)};
my $use = q{SELECT string_agg(DISTINCT version::text, ' ' ORDER BY version::text) FROM redoubt.key_use() WHERE table_name = 'person'::regclass AND column_name = 'email'};

sub began { return $node->admin(q{SELECT count(*) FROM redoubt.audit WHERE operation = 'rewrap_column'}) }
sub rotate { return $node->admin(q{SELECT redoubt.rotate_key('default')}) }

sub background {
  my ($sql) = @_;
  my ($in, $out) = ('', '');
  my $run = start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', $sql ], \$in, '>&', \$out);
  return ($run, \$out);
}

sub until_true {
  my ($what, $test) = @_;
  for (1 .. 300) {
    return pass($what) if $test->();
    usleep(100_000);
  }
  return fail($what);
}

# Stopped half-way: cancelled, killed, by a crash.  Each time with a new version, so that much is to be done; a row that
# somebody holds keeps it from coming to its end before it is stopped.
my $holders = q{FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1000)%' AND pid <> pg_backend_pid()};
my $others = q{FROM pg_stat_activity WHERE query LIKE 'CALL redoubt.rewrap_column%' AND pid <> pg_backend_pid()};
my ($run, $out);
for my $end ('cancelled', 'killed', 'crashed') {
  rotate();
  my ($holder) = background("BEGIN; SELECT FROM person WHERE id = $rows FOR UPDATE; SELECT pg_sleep(1000)");
  until_true("$end: a row is held", sub { $node->admin("SELECT count(*) $holders AND wait_event = 'PgSleep'") eq '1' });
  my $done = began();
  ($run, $out) = background($call);
  until_true("$end: it had begun", sub { began() > $done && $node->admin($use) =~ / / });
  if ($end eq 'crashed') {
    $node->stop('immediate');
  } else {
    $node->admin('SELECT ' . ($end eq 'killed' ? 'pg_terminate_backend' : 'pg_cancel_backend') . "(pid) $others");
    $run->finish;
    $node->admin("SELECT pg_terminate_backend(pid) $holders");
  }
  $_->finish for $run, $holder;
  $node->start if $end eq 'crashed';
  is($node->ask('regress_lead', $values), $before, "$end: every value is what it was");
  like($node->admin($use), qr/ /, "$end: some are sealed anew, some are not");
}
$node->fails_with('', q{SELECT redoubt.retire_key('default', 1)}, '2BP01', qr/in use/, 'the old version is in use');
my $notice = q{};
$node->psql(q{postgres}, $call, stderr => \$notice);
like($notice, qr/NOTICE:  column "email" of person: \d+ tokens sealed anew/, 'the rest');
is($node->admin($use), '4', 'none of the old versions is left');
is($node->ask('regress_lead', $values), $before, 'every value is what it was');
is($node->ask('regress_lead', q{SET enable_seqscan = off; SELECT count(*) FROM person WHERE lower(email) = 'person777@example.com'}), '1', 'an index finds it');

# Under load: clients change these rows, by two columns, and add some.
rotate();
my $script = $node->basedir . '/load.sql';
write_file($script, <<~"SQL");
  \\set id random(1, $rows)
  \\set other random(1, $rows)
  BEGIN;
  UPDATE person SET n = n + 1 WHERE id = least(:id, :other);
  UPDATE person SET n = n + 1 WHERE id = greatest(:id, :other) AND :id <> :other;
  UPDATE person SET email = email, n = n + CASE WHEN :id = :other THEN 1 ELSE 0 END WHERE id = greatest(:id, :other);
  COMMIT;
  SQL
my $printed = $node->basedir . '/load.out';
my $load = start([ 'pgbench', '-n', '-c', '4', '-T', '6', '-f', $script, '-U', 'regress_lead', $node->connstr('postgres') ], '<', '/dev/null', '>&', $printed);
usleep(500_000);
$node->psql('postgres', $call, stderr => \$notice);
like($notice, qr/column "email" of person: \d+ tokens/, 'under load: it comes to its end');
is($node->admin($use), '5', 'under load: and none of an older version is left');
$load->finish;
my $load_out = read_file($printed);
my ($transactions) = $load_out =~ /number of transactions actually processed: (\d+)/;
like($load_out, qr/number of failed transactions: 0 /, 'under load: no client failed');
unlike($load_out, qr/ERROR|deadlock/, 'under load: nor met an error');
is($node->admin('SELECT sum(n) FROM person'), 2 * $transactions, "under load: all changes of $transactions transactions are there");
is($node->ask('regress_lead', $values), $before, 'under load: every value is what it was');
is($node->admin($use), '5', 'after it: what clients wrote back is of the newest version, too');

# Rows that others hold, and one that is committed late by a transaction from before the rotation.
my $session = $node->background_psql('postgres', extra_params => [ '-U', 'regress_lead' ]);
$session->query_safe(q{BEGIN; SELECT 1 FROM person WHERE id = 3 FOR UPDATE; INSERT INTO person (id, email) VALUES (100001, 'late@example.com')});
rotate();
($run, $out) = background($call);
until_true('all but what is held is sealed anew', sub {
  $node->admin(q{SELECT string_agg(version || ':' || tokens, ' ' ORDER BY version) FROM redoubt.key_use() WHERE table_name = 'person'::regclass AND column_name = 'email'}) eq "5:2 6:" . ($rows - 1);
});
is($node->admin(q{SELECT state FROM pg_stat_activity WHERE query LIKE 'CALL redoubt.rewrap_column%' AND pid <> pg_backend_pid()}), 'active', 'waiting: it has not ended');
until_true('waiting: it holds no lock that anybody could wait for, most of the time', sub {
  $node->admin(q{SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE a.query LIKE 'CALL redoubt.rewrap_column%' AND a.pid <> pg_backend_pid() AND l.relation = 'person'::regclass}) eq '0';
});
$session->query_safe('COMMIT');
$session->quit;
$run->finish;
like($$out, qr/sealed anew/, 'waiting: it ends when they are free');
is($node->admin($use), '6', 'waiting: none of an older version is left');
is($node->ask('regress_lead', q{SELECT redoubt.detokenize(email) FROM person WHERE id = 100001}), 'late@example.com', 'waiting: what came late is there');
is($node->admin(q{CALL redoubt.rewrap_column('person', 'phone'); SELECT count(redoubt.retire_key('default', v)::text) FROM generate_series(1, 5) AS v}), '5', 'the old versions are retired');
$node->ask('regress_lead', 'DELETE FROM person WHERE id = 100001');
is($node->ask('regress_lead', $values), $before, 'and every value opens');

# Logical decoding.
$node->admin(q{SELECT pg_create_logical_replication_slot('regress', 'test_decoding')});
rotate();
$node->admin(q{UPDATE person SET email = NULL WHERE id > 10; CALL redoubt.rewrap_column('person', 'email')});
my $changes = $node->admin(q{SELECT data FROM pg_logical_slot_get_changes('regress', NULL, NULL) WHERE data LIKE 'table public.person: UPDATE: %id[integer]:7 %'});
like($changes, qr/^table public\.person: UPDATE: id\[integer\]:7 email\[email_token\]:'tok_\S+'/, 'logical decoding: an UPDATE of the row, with its token');
unlike($changes, qr/example\.com/i, 'logical decoding: no value');
$node->admin(q{SELECT pg_drop_replication_slot('regress'); CREATE TABLE unkeyed (email redoubt.email_token); CREATE PUBLICATION everything FOR TABLE unkeyed});
$node->fails_with('', q{CALL redoubt.rewrap_column('unkeyed', 'email')}, '55000', qr/replica identity/, 'a published table without a replica identity is refused, as UPDATE is');

unlike($node->log_text, qr/person\d+\@example|late\@example/i, 'the server log holds no value');
is($node->verdict, 't', 'the trail verifies');
done_testing();
