# limits_concurrent.pl - proves that 64 connections of one role cannot get more out of one
# budget than it holds: reveals are exact to the value, reads (leased in batches) never
# more than the budget, and what a query that was stopped had leased is given back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file);
use IPC::Run ();
use Test::More;

my $node = RedoubtNode->make('limits_concurrent', conf => ['max_connections = 80']);
$node->ask('regress_lead', q{INSERT INTO person (id, email) SELECT i, 'person' || i || '@example.com' FROM generate_series(6, 1000) AS i});
$node->admin(<<'SQL');
CREATE ROLE regress_many LOGIN;
GRANT SELECT ON person TO regress_many;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_many;
SELECT redoubt.set_limit('regress_many', 'redoubt.email_token', 'reveal', 500, '100 days');
SELECT redoubt.set_limit('regress_many', 'redoubt.email_token', 'read', 5000, '100 days');
SQL

# crowd SQL: 64 clients run it 30 times each or until they are refused; returns how many
# times it ran to its end.
sub crowd {
  my ($sql) = @_;
  my $script = "$PostgreSQL::Test::Utils::tmp_check/crowd.sql";
  write_file($script, "\\set id random(1, 1000)\n$sql\n");
  my ($out, $err);
  IPC::Run::run([ 'pgbench', '-n', '-c', '64', '-j', '2', '-t', '30', '-f', $script, '-h', $node->host, '-p', $node->port,
    '-U', 'regress_many', 'postgres' ], '>', \$out, '2>', \$err);
  my ($served) = $out =~ /number of transactions actually processed: (\d+)/;
  cmp_ok(() = $err =~ /limit on \w+ of redoubt\.email_token exceeded/g, '>', 0, 'some were refused') or diag $err;
  return $served // -1;
}

sub charged {
  my ($operation) = @_;
  return $node->admin(qq{SELECT charged FROM redoubt.usage WHERE role = 'regress_many'::regrole AND operation = '$operation'});
}

is(crowd('SELECT redoubt.detokenize(email) FROM person WHERE id = :id;'), 500, 'of 1920 single reveals exactly the budget of 500 is served');
is(charged('reveal'), 500, 'and charged');

cmp_ok(crowd('SELECT email FROM person WHERE id > :id - 20 AND id <= :id ORDER BY id;'), '>', 0, 'reads of 20 rows are served');
my $read = charged('read');
cmp_ok($read, '<=', 5000, 'never more than the budget of 5000');
cmp_ok($read, '>', 5000 - 64, 'what was leased and not delivered came back');

$node->stop;
done_testing();
