# limits_statement.pl - proves for limits per statement what psql cannot ask: parallel workers share
# the count of their leader, to the value; in the extended protocol Bind and every Execute of a
# portal are one statement, whatever comes between; statements in a pipeline are many.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use IO::Socket::UNIX;
use Test::More;

my $rows = 600;
my $node = RedoubtNode->make('limits_statement', conf => ['max_parallel_workers = 4']);
$node->ask('regress_lead', qq{INSERT INTO person (id, email) SELECT i, 'person' || i || '\@example.com' FROM generate_series(6, $rows) AS i});
$node->admin(<<"SQL");
ANALYZE person;
CREATE ROLE regress_many LOGIN;
CREATE TABLE box (a redoubt.email_token, b redoubt.email_token, c redoubt.email_token);
GRANT SELECT ON person TO regress_many;
GRANT INSERT ON box TO regress_many;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.email_token(text) TO regress_many;
SQL

sub limit {
  my ($values) = @_;
  return $node->admin("SELECT redoubt.set_limit('regress_many', 'redoubt.email_token', 'reveal', $values, 'statement') > 0");
}

sub charged {
  return $node->admin(q{SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role = 'regress_many'::regrole AND operation = 'reveal'});
}

# ---- parallel workers

my $parallel = <<'SQL';
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3; SET parallel_leader_participation = off;
SQL
my $reveal_all = 'SELECT count(*) FROM person WHERE redoubt.detokenize(email) IS NOT NULL';
limit($rows);
like($node->ask('regress_many', "$parallel EXPLAIN (ANALYZE, COSTS off, TIMING off) $reveal_all"), qr/Workers Launched: [123]/, 'workers reveal');
my $twice = $node->ask('regress_many', "$parallel $reveal_all; $reveal_all");
is($twice, "$rows\n$rows", 'a limit of exactly so many admits them, and the next statement as well');
limit($rows - 1);
my $before = charged();
$node->fails_with('regress_many', "$parallel $reveal_all", '53400', qr/limit on reveal of redoubt\.email_token exceeded.*\nDETAIL:  At most 599 values per statement\./, 'one less does not');
is(charged() - $before, $rows - 1, 'and the workers got exactly that many');
# What the leader did before and does after its workers is the same statement; so is what they do for a function.
limit($rows + 5);
my $some = 'SELECT count(redoubt.detokenize(email)) FROM person WHERE id <=';
is($node->ask('regress_many', "$parallel $some 600; SELECT ($reveal_all), ($some 5)"), "600\n600|5", 'leader and workers together');
$node->fails_with('regress_many', "$parallel SELECT ($reveal_all), ($some 6)", '53400', qr/exceeded/, 'share one count');
my $block = "DO \$\$ BEGIN PERFORM count(redoubt.detokenize(email)) FROM person WHERE id <= %d; EXECUTE '$reveal_all'; END \$\$";
is($node->ask('regress_many', $parallel . sprintf($block, 5)), '', 'in a block as well');
$node->fails_with('regress_many', $parallel . sprintf($block, 6), '53400', qr/exceeded/, 'to the value');

# ---- the extended protocol

# A client that sends what it is told; answer() reads up to ReadyForQuery.
my $socket;

sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body }

sub take {
  my ($length) = @_;
  my $data = '';
  while (length $data < $length) { sysread($socket, $data, $length - length $data, length $data) or die "connection lost: $!" }
  return $data;
}

# Returns "values|SQLSTATE of each error".
sub answer {
  my ($values, @errors) = (0);
  while (1) {
    my ($type, $length) = unpack('aN', take(5));
    my $body = take($length - 4);
    $values++ if $type eq 'D';
    push @errors, $body =~ /(?:^|\0)C(\w{5})\0/ if $type eq 'E';
    return "$values|@errors" if $type eq 'Z';
  }
}

sub send_all { my (@messages) = @_; syswrite($socket, join('', @messages)) or die "cannot send: $!"; return answer() }
sub parse_as { my ($name, $sql) = @_; return message('P', "$name\0$sql\0" . pack('n', 0)) }
sub bind_as { my ($portal, $name, @values) = @_;
  return message('B', "$portal\0$name\0" . pack('n', 0) . pack('n', scalar @values) . join('', map { pack('N/a*', $_) } @values) . pack('n', 0)) }
sub execute { my ($portal, $most) = @_; return message('E', "$portal\0" . pack('N', $most // 0)) }
my $sync = message('S', '');

my $start = pack('N', 196608) . "user\0regress_many\0database\0postgres\0\0";
$socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "cannot connect: $!";
syswrite($socket, pack('N', 4 + length $start) . $start);
answer();

limit(300);
my $all = parse_as('all', 'SELECT redoubt.detokenize(email) FROM person ORDER BY id');
is(send_all($all, bind_as('', 'all'), execute(''), $sync), '300|53400', 'one Execute');
is(send_all(bind_as('', 'all'), execute('', 300), $sync), '300|', 'in a new portal anew');
is(send_all(bind_as('p', 'all'), (execute('p', 100)) x 4, $sync), '300|53400', 'several Execute of one portal share one count');
is(send_all(bind_as('p', 'all'), execute('p', 200), bind_as('q', 'all'), execute('q', 300), execute('p', 101), $sync),
  '600|53400', 'also when another statement comes between');
is(send_all(map({ (bind_as('', 'all'), execute('', 300)) } 1 .. 3), $sync), '900|', 'statements in a pipeline are many');
is(send_all(message('Q', "SELECT redoubt.detokenize(email) FROM person LIMIT 300; SELECT redoubt.detokenize(email) FROM person LIMIT 300\0")),
  '600|', 'so are those in one string');

# Parameters are tokenized by Bind, before there is a portal to run.
$node->admin(q{SELECT redoubt.set_limit('regress_many', 'redoubt.email_token', 'tokenize', 2, 'statement')});
my $put = parse_as('put', q{INSERT INTO box SELECT $1::redoubt.email_token, $2::redoubt.email_token, CASE WHEN $3 = 'more' THEN redoubt.email_token($3 || '@example.com') END});
is(send_all($put, bind_as('', 'put', 'a@example.com', 'b@example.com', 'none'), execute(''), $sync), '0|', 'Bind tokenizes two');
is(send_all(bind_as('', 'put', 'a@example.com', 'b@example.com', 'more'), execute(''), $sync), '0|53400', 'and Execute no third');
is(send_all(bind_as('p', 'put', 'a@example.com', 'b@example.com', 'more'), bind_as('q', 'put', 'a@example.com', 'b@example.com', 'none'),
    execute('q'), execute('p'), $sync), '0|53400', 'nor after another Bind');
is($node->admin('SELECT count(*) FROM box'), '1', 'what was refused is not there');
close $socket;

# ---- the fast path: a call is a statement, whatever its function does

$node->admin(<<'SQL');
CREATE FUNCTION public.grab() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  got integer := 0;
  one record;
BEGIN
  FOR n IN 1..5 LOOP
    FOR one IN SELECT redoubt.detokenize(email) FROM person WHERE id <= 70 LOOP
      got := got + 1;
    END LOOP;
  END LOOP;
  RETURN got;
END $$;
SQL
my $grab = $node->admin(q{SELECT 'grab'::regproc::oid});
$socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "cannot connect: $!";
syswrite($socket, pack('N', 4 + length $start) . $start);
answer();
my $call = message('F', pack('Nnnn', $grab, 0, 0, 0));
is(send_all($call), '0|53400', 'loops in a function that the fast path calls share one count');
limit(350);
is(send_all($call), '0|', 'to the value');
close $socket;

# ---- a backend that begins in the place of another has nothing of its counts

is($node->ask('regress_many', 'SELECT count(redoubt.detokenize(email)) FROM person WHERE id <= 350'), 350, 'a new session begins anew');

$node->stop;
done_testing();
