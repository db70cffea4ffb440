# audit_flood.pl - proves that a login cannot fill the disk of the audit trail with refusals: what a statement repeats is
# counted, a session's records a second are bounded, and the counts add up to what was refused, whoever caused it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('audit_flood');
$node->admin(<<~'SQL');
  CREATE ROLE regress_other;
  GRANT regress_other TO regress_clerk;
  GRANT SELECT ON person TO regress_other;
  SQL

sub size {
  my $size = 0;
  $size += -s $_ for $node->audit_segments;
  return $size;
}

# flood TITLE, ROLE, SQL, EXPECTED, RECORDS, [FILTER]: SQL of ROLE is refused EXPECTED times, counts add up to it, and no more
# than RECORDS records are written.
sub flood {
  my ($title, $role, $sql, $expected, $records, $filter) = @_;
  my $before = $node->admin('SELECT max(sequence) FROM redoubt.audit');
  my $size = size();
  $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
  my ($sum, $count, $bytes) = split /\|/, $node->admin(<<~"SQL");
    SELECT sum(count), count(*), @{[ size() - $size ]} FROM redoubt.audit
     WHERE sequence > $before AND outcome = 'denied' AND session_user_name = '$role' AND @{[ $filter // 'true' ]}
    SQL
  is($sum, $expected, "$title: every refusal is counted");
  cmp_ok($count, '<=', $records, "$title: in $records records at most");
  cmp_ok($bytes, '<', 1500 * ($records + 2), "$title: so the trail does not grow by more");
  return;
}

sub loop {
  my ($times, $call) = @_;
  return "DO \$\$ BEGIN FOR i IN 1..$times LOOP BEGIN $call; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$;";
}

my $tokenize = q{PERFORM redoubt.email_token('a@example.com'::text)};
my $cast = q{PERFORM format('a%s@example.com', i)::redoubt.email_token};
my $reveal = 'PERFORM redoubt.detokenize(email) FROM person';
flood('a function', 'regress_clerk', loop(100_000, $tokenize), 100_000, 2);
flood('an input function', 'regress_clerk', loop(100_000, $cast), 100_000, 2, q{token_type = 'redoubt.email_token' AND operation = 'tokenize'});
flood('a query', 'regress_clerk', loop(1000, $reveal), 1000, 2);
flood('in a transaction block', 'regress_clerk', 'BEGIN;' . loop(1000, $cast) . 'COMMIT', 1000, 2);
flood('rolled back', 'regress_clerk', 'BEGIN;' . loop(1000, $cast) . 'ROLLBACK', 1000, 2);
flood('that ends in an error', 'regress_clerk', loop(1000, $cast) =~ s/END LOOP;/END LOOP; RAISE EXCEPTION 'end';/r, 1000, 2);
flood('two kinds', 'regress_clerk', loop(1000, "IF i % 4 = 0 THEN $cast; ELSE $reveal; END IF"), 1000, 4);
flood('an own table', 'regress_lead', loop(1000, 'DELETE FROM redoubt.key') , 1000, 2)
  if $node->admin('GRANT DELETE ON redoubt.key TO regress_lead; SELECT 1');

# Both users are recorded as they were when it was refused.
my $before = $node->admin('SELECT max(sequence) FROM redoubt.audit');
$node->ask('regress_clerk', 'SET ROLE regress_other;' . loop(10, $cast) . 'RESET ROLE');
is($node->admin(qq{SELECT string_agg(concat_ws(' ', session_user_name, current_user_name, count, detail), ',' ORDER BY sequence)
    FROM redoubt.audit WHERE sequence > $before AND event = 'denial'}),
  'regress_clerk regress_other 1 EXECUTE was refused,regress_clerk regress_other 9 EXECUTE was refused; 9 more refusals', 'as the user that was refused');

# Kinds beyond any memory of them, each in a statement of its own.
my $types = 60;
$node->admin("SELECT redoubt.create_token_type('kind_' || i) FROM generate_series(1, $types) AS i");
flood('many kinds in a statement', 'regress_clerk',
  loop(20 * $types, q{EXECUTE format('SELECT %L::kind_%s', 'a@example.com', 1 + i % } . $types . ')'), 20 * $types, 50 * 8);

# One refusal a statement, as fast as a client can.
my $statements = 3000;
$before = $node->admin('SELECT max(sequence) FROM redoubt.audit');
my $file = $node->basedir . '/flood.sql';
RedoubtNode::write_file($file, join('', map { "SELECT 'a$_\@example.com'::redoubt.email_token;\n" } 1 .. $statements));
my $began = time;
$node->command_checks_all([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-U', 'regress_clerk', '-f', $file ], 0, [qr/^$/], [qr/permission denied/], 'a client sends refused statements');
my $seconds = time - $began + 1;
my ($sum, $count) = split /\|/, $node->admin(qq{SELECT sum(count), count(*) FROM redoubt.audit WHERE sequence > $before AND event = 'denial'});
is($sum, $statements, 'statement by statement: all of them are counted');
cmp_ok($count, '<=', 50 * ($seconds + 1) + 2, 'a session writes 50 records a second at most');
cmp_ok($count, '<', $statements, 'which are fewer');

# A limit.
$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 2, '1 day')});
flood('a limit', 'regress_lead', loop(1000, 'PERFORM redoubt.detokenize(email) FROM person WHERE id = 1'), 998, 2, q{event = 'block'});

is($node->verdict, 't', 'the trail verifies');
# Nor with what it may do: such commands wait.
sub at_will {
  my ($role, $sql) = @_;
  my $last = $node->admin('SELECT max(sequence) FROM redoubt.audit');
  my $err = '';
  $node->psql('postgres', "SET statement_timeout = '1500ms'; DO \$\$ BEGIN FOR i IN 1..200 LOOP $sql; END LOOP; END \$\$", stderr => \$err, extra_params => [ '-U', $role ]);
  return ($node->admin("SELECT count(*) FROM redoubt.audit WHERE sequence > $last AND session_user_name = '$role'"), $err);
}
my $own = q{EXECUTE format('ALTER ROLE %I SET redoubt.reveal = token', current_user)};
my ($records, $err) = at_will('regress_clerk', $own);
cmp_ok($records, '<=', 100, 'settings of its own: fifty records a second');
cmp_ok($records, '>=', 50, 'which are written');
like($err, qr/statement timeout/, 'what waits can be cancelled');
is($node->psql('postgres', 'ALTER ROLE regress_clerk RESET redoubt.reveal', extra_params => [ '-U', 'regress_clerk' ]), 0, 'another session does not wait');
is((at_will($node->admin('SELECT current_user'), $own))[0], 200, 'nor do superusers');

done_testing();
