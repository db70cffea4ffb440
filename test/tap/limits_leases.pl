# limits_leases.pl - proves that values which are paid for ahead change nothing that can be seen: wherever a statement
# ends, pauses or fails, what was charged is what was delivered; a limit is exact to the value; what one meter of a session
# holds is never missing to another; and a rule or a suspension counts from the next value on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file);
use IPC::Run ();
use Test::More;

my $node = RedoubtNode->make('limits_leases', conf => ['max_parallel_workers_per_gather = 0']);
my $type = q{'redoubt.email_token'};
$node->ask('regress_lead', q{INSERT INTO person (id, email) SELECT i, 'person' || i || '@example.com' FROM generate_series(6, 2000) AS i});
$node->admin(<<'SQL');
ANALYZE person;
CREATE ROLE regress_many LOGIN;
GRANT SELECT, INSERT ON person TO regress_many;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.detokenize(redoubt.email_token[]), redoubt.email_token(text) TO regress_many;
SQL
my $one = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';

# A limit of regress_many on nothing but revealing, or what follows; the former ones go.
sub limit {
  my ($values, %with) = @_;
  my $operation = $with{operation} // 'reveal';
  my $per = $with{per} // '100 days';
  my $action = $with{on_excess} // 'block';
  return $node->admin(<<~"SQL");
    SELECT redoubt.drop_limit('regress_many', $type, '$operation');
    SELECT redoubt.set_limit('regress_many', $type, '$operation', $values, per => '$per', on_excess => '$action');
    SELECT redoubt.reset_usage('regress_many');
    SQL
}

sub no_limit {
  my ($operation) = @_;
  return $node->admin("SELECT redoubt.drop_limit('regress_many', $type, '$operation')");
}

sub charged {
  my ($operation) = @_;
  $operation //= 'reveal';
  return $node->admin(qq{SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role = 'regress_many'::regrole AND operation = '$operation'});
}

sub session {
  return $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_many', '-v', 'VERBOSITY=verbose' ]);
}

# ---- what is charged when a statement ends, pauses, or fails

limit(1_000_000);
for my $n (1, 2, 7, 63, 64, 65, 100, 500) {
  $node->admin(q{SELECT redoubt.reset_usage('regress_many')});
  is($node->ask('regress_many', "SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT $n) AS p"), $n, "$n values");
  is(charged(), $n, "$n values are charged");
}
is($node->admin(q{SELECT sum(count) FROM redoubt.audit WHERE session_user_name = 'regress_many' AND event = 'reveal' AND outcome = 'success'}),
  802, 'the summaries of the audit trail add up to what was delivered');

limit(1_000_000);
my $session = session();
$session->query('BEGIN');
$session->query('DECLARE c CURSOR FOR SELECT redoubt.detokenize(email) FROM person ORDER BY id');
$session->query('FETCH 37 FROM c');
is(charged(), 37, 'a cursor that pauses has given back the rest');
$session->query('FETCH 3 FROM c');
is(charged(), 40, 'and goes on');
$session->query('SAVEPOINT s');
$session->query('SELECT redoubt.detokenize(email), 1 / (id - 50) FROM person WHERE id > 0 ORDER BY id');
like($session->{stderr}, qr/division by zero/, 'a statement fails at its fiftieth value');
is(charged(), 90, 'and is charged fifty, though its transaction goes on');
$session->{stderr} = '';
$session->query('ROLLBACK TO s');
$session->query(<<'SQL');
DO $$
BEGIN
  PERFORM redoubt.detokenize(email), 1 / (id - 5) FROM person ORDER BY id;
EXCEPTION WHEN division_by_zero THEN
  PERFORM redoubt.detokenize(email) FROM person WHERE id <= 5;
END $$
SQL
is(charged(), 100, 'an error that a function catches');
$session->query(q{SET LOCAL redoubt.reveal = 'plain'});
$session->query('PREPARE p AS SELECT email FROM person WHERE id <= 5');
$session->query('EXECUTE p');
is(charged(), 105, 'rows that come out of a tuple store');
$session->query('DECLARE h CURSOR WITH HOLD FOR SELECT email FROM person WHERE id <= 9');
$session->query('COMMIT');
my $before = charged();
$session->query('BEGIN');
$session->query('FETCH 4 FROM h');
cmp_ok(charged() - $before, '<=', 4, 'rows of a held cursor');
$session->query('ROLLBACK');
$session->quit;

$node->admin(<<'SQL');
CREATE TABLE seen (id integer);
GRANT INSERT ON seen TO regress_many;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM redoubt.detokenize(email) FROM public.person WHERE id = new.id;
  RETURN NULL;
END $$;
CREATE TRIGGER look AFTER INSERT ON seen FOR EACH ROW EXECUTE FUNCTION look();
SQL
limit(1_000_000);
$session = session();
$session->query('BEGIN');
$session->query('INSERT INTO seen SELECT generate_series(1, 20)');
is(charged(), 20, 'triggers that run after the rows');
$session->query('ROLLBACK');
$session->quit;

# Tokenizing has its own lease.
limit(1_000_000, operation => 'tokenize');
$node->ask('regress_many', q{INSERT INTO person SELECT i, 'new' || i || '@example.com' FROM generate_series(3001, 3100) AS i});
is(charged('tokenize'), 100, 'a hundred values that were tokenized');
no_limit('tokenize');

# ---- limits are exact

limit(100);
$node->fails_with('regress_many', 'SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT 101) AS p', '53400',
  qr/limit on reveal of redoubt.email_token exceeded/, 'one value too many is refused');
is(charged(), 100, 'after the hundred that are allowed');
limit(100);
is($node->ask('regress_many', 'SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT 100) AS p'), 100, 'which are allowed at once');

# CLIENTS run SQL, each TIMES or until it is refused; returns how many times it ran to its end.
sub crowd {
  my ($sql, $clients, $times) = @_;
  my $script = "$PostgreSQL::Test::Utils::tmp_check/leases.sql";
  write_file($script, "\\set id random(1, 1000)\n$sql\n");
  my ($out, $err);
  IPC::Run::run([ 'pgbench', '-n', '-c', $clients, '-j', '2', '-t', $times, '-f', $script, '-h', $node->host, '-p', $node->port,
    '-U', 'regress_many', 'postgres' ], '>', \$out, '2>', \$err);
  my ($served) = $out =~ /number of transactions actually processed: (\d+)/;
  return $served // -1;
}

limit(10);
is(crowd('SELECT redoubt.detokenize(email) FROM person WHERE id = :id;', 8, 5), 10, 'eight sessions get exactly ten of ten');
is(charged(), 10, 'and are charged ten');
limit(2000);
my $served = crowd('SELECT count(redoubt.detokenize(email)) FROM person WHERE id > :id AND id <= :id + 50;', 8, 40);
cmp_ok($served, '<=', 40, 'eight sessions that reveal fifty values at a time get no more than the budget');
my $rest = 2000 - charged();
cmp_ok($rest, '>=', 0, 'are charged no more');
is(crowd('SELECT redoubt.detokenize(email) FROM person WHERE id = :id;', 1, $rest + 5), $rest, 'and what they gave back can be had to the value');

limit(50, per => 'statement');
for my $round (1, 2) {
  is($node->ask('regress_many', 'SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT 50) AS p'), 50, "per statement, round $round: as many as allowed");
  $node->fails_with('regress_many', 'SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT 51) AS p', '53400',
    qr/limit on reveal of redoubt.email_token exceeded/, "per statement, round $round: and not one more");
}

limit(30, on_excess => 'degrade');
is($node->ask('regress_many', q{SET redoubt.reveal = 'auto';
    SELECT count(*) FILTER (WHERE e LIKE 'person%'), count(*) FILTER (WHERE e NOT LIKE 'person%')
    FROM (SELECT format('%s', email) AS e FROM (SELECT email FROM person LIMIT 50) AS p OFFSET 0) AS q}),
  '30|20', 'degrade: thirty in plain, the rest masked');

limit(200, per => '1 s', on_excess => 'throttle');
is($node->ask('regress_many', 'SELECT count(redoubt.detokenize(email)), clock_timestamp() - statement_timestamp() > interval $$0.9 s$$ FROM (SELECT email FROM person LIMIT 400) AS p'),
  '400|t', 'throttle: two hundred more than a second allows take a second');

# ---- a limit that only logs is exceeded by what is delivered, not by what is leased

for my $case ([ 'reveal', 'SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM person LIMIT %d) AS p' ],
  [ 'read', 'SELECT email FROM person LIMIT %d' ]) {
  my ($operation, $sql) = @$case;
  my $events = qq{SELECT count(*) FROM redoubt.audit WHERE event = 'limit exceeded' AND session_user_name = 'regress_many' AND operation = '$operation'};
  limit(20, operation => $operation, on_excess => 'log');
  $node->ask('regress_many', sprintf($sql, 20));
  is($node->admin($events), 0, "$operation, a limit of twenty that logs: twenty values do not exceed it");
  $node->ask('regress_many', sprintf($sql, 1));
  is($node->admin($events), 1, "$operation, a limit of twenty that logs: the next one does");
  no_limit($operation);
}

# ---- what is held is not missing elsewhere

# 64 values through the lease, then an array of all the rest that the limit of 640 leaves.
my $exact = <<'SQL' =~ s/\n/ /gr;
SELECT sum(CASE WHEN id <= 64 THEN length(redoubt.detokenize(email)) / length(redoubt.detokenize(email)) ELSE 0 END
         + coalesce(cardinality(redoubt.detokenize(a)), 0))
FROM (SELECT id, email, NULL::redoubt.email_token[] AS a FROM person WHERE id <= 64
      UNION ALL SELECT 65, NULL, (SELECT array_agg(email) FROM person WHERE id <= 512)) AS u
SQL
limit(640);
is($node->ask('regress_many', $exact), 576, 'an array gets what single values had leased');
is(charged(), 640, 'the limit is used up to the value');
$session = session();
$session->query($one);
like($session->{stderr}, qr/ERROR:  53400/, 'a value is refused');
$session->{stderr} = '';
limit(640);
is($session->query($exact), 576, 'after a refusal a lease is given back as ever') or diag($session->{stderr});
is(charged(), 640, 'and the limit is used up to the value');
$session->quit;

# ---- a rule or a suspension counts from the next value on

# Reveals 60 values in three seconds, of which the last 29 would come out of one lease; SQL is run after two.
sub meanwhile {
  my ($sql) = @_;
  my ($out, $err) = ('', '');
  my $slow = IPC::Run::start(
    [ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-U', 'regress_many', '-d', $node->connstr('postgres'), '-c',
      'SELECT redoubt.detokenize(email), pg_sleep(0.05) FROM person WHERE id <= 60' ],
    '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  $node->poll_query_until('postgres', q{SELECT coalesce(sum(charged), 0) > 31 FROM redoubt.usage WHERE role = 'regress_many'::regrole AND operation = 'reveal'})
    or die 'nothing is revealed';
  $sql->();
  $slow->finish;
  return $err;
}

limit(1_000_000);
like(meanwhile(sub { $node->admin("SELECT redoubt.set_limit('regress_many', $type, 'reveal', 5, per => 'statement')") }), qr/ERROR:  53400: limit on reveal/, 'a limit that is made while a statement runs');
$node->admin("SELECT redoubt.drop_limit('regress_many', $type, 'reveal')");
limit(1_000_000);
$node->admin("SELECT redoubt.set_limit('regress_many', $type, 'masked', 1, per => '100 days', on_excess => 'suspend')");
like(meanwhile(sub {
    $node->fails_with('regress_many', 'SELECT count(redoubt.mask(email)) FROM (SELECT email FROM person LIMIT 2) AS p', '53400', qr/exceeded/, 'another session is suspended');
  }), qr/ERROR:  53400: role "regress_many" is suspended/, 'a suspension stops the statement that runs');

done_testing();
