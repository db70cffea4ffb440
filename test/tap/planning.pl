# planning.pl - what the analysis of a plan adds to planning grows no faster than the statement.
#
# Each shape is planned and run at three sizes, each twice the one before, first on tables without labels, then on the
# same tables with labels.  The difference of the two is the analysis.  Figures are the least of several executions, in
# processor time of the backend (/proc/self/schedstat), so that a busy machine adds little.  Four times the size may take
# kGrowth times the difference; an algorithm that is quadratic takes 16 times.  What a statement does to one partition is
# to cost the same whatever their number: kConstant times.  What is below kFloor counts as kFloor, and what is less than
# the server itself takes for the largest is no growth: where that takes long, the difference is of two long times.
# Another library plans the statements, so that what it might plan out of sight is looked for, too.
# test/bench/plan says what planning costs beside a server without the library.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use Test::More;

use constant { kGrowth => 8, kConstant => 2, kFloor => 2.0, kRuns => 7 };
my @wide = (100, 200, 400);
my @parts = (200, 400, 800);

# all PATTERN, COUNT: PATTERN for each of 1 to COUNT in place of #.
sub all { my ($pattern, $count, $by) = @_; return join $by // ', ', map { $pattern =~ s/#/$_/gr } 1 .. $count; }
# around BEFORE, AFTER, COUNT, INNERMOST
sub around { my ($before, $after, $count, $inside) = @_; return $before x $count . $inside . $after x $count; }

# [name, the three sizes, the statement of a size, how much the difference may grow unless by kGrowth]
my @shapes = (
  [ 'set_config around set_config', [ 12, 24, 48 ],
    sub { 'SELECT ' . around('set_config($$a.b$$, ', ', true)', $_[0], 'mail') . q{ FROM contact WHERE phone = 'p1'} } ],
  [ 'nullif around nullif', [ 12, 24, 48 ], sub { q{SELECT id FROM contact WHERE phone = 'p1' AND } . around('nullif(', ', phone)', $_[0], 'mail') . q{ = 'x'} } ],
  [ 'string_agg of calls', [ 12, 24, 48 ], sub { 'SELECT string_agg(' . around('replace(', ', phone, mail)', $_[0], 'mail') . q{, ',') FROM contact WHERE phone = 'p1'} } ],
  [ 'CASE in CASE', [ 25, 50, 100 ], sub { 'SELECT ' . around(q{CASE WHEN phone = 'x' THEN mail ELSE }, ' END', $_[0], 'phone') . ' FROM contact' } ],
  [ 'CASE in the condition of CASE', [ 12, 24, 48 ], sub { 'SELECT ' . around(q{CASE WHEN }, q{ = 'x' THEN mail ELSE phone END}, $_[0], 'phone') . ' FROM contact' } ],
  [ 'UNION ALL', [ 50, 100, 200 ], sub { all(q{SELECT mail FROM contact WHERE phone = 'x#'}, $_[0], ' UNION ALL ') } ],
  [ 'joins', [ 10, 20, 40 ], sub { 'SELECT c.mail FROM contact AS c ' . all(q{JOIN contact AS c# ON c#.id = c.id AND c#.phone <> 'x#'}, $_[0], ' ') } ],
  [ 'subqueries', [ 25, 50, 100 ], sub { 'SELECT ' . all(q{(SELECT mail FROM contact AS c# WHERE c#.id = c.id AND c#.phone < c.phone)}, $_[0]) . ' FROM contact AS c' } ],
  [ 'common table expressions', [ 12, 24, 48 ], sub {
      my ($n) = @_;
      return q{WITH t0 AS MATERIALIZED (SELECT mail, phone FROM contact), } .
        join(', ', map { my $before = $_ - 1; "t$_ AS MATERIALIZED (SELECT mail || 'x' AS mail, phone FROM t$before WHERE phone <> 'q$_')" } 1 .. $n) . " SELECT * FROM t$n" } ],
  [ 'columns of subqueries, each twice', [ 12, 24, 48 ],
    sub { 'SELECT * FROM ' . around('(SELECT n + n AS n, mail FROM ', ' AS s OFFSET 0)', $_[0], '(SELECT 0 * id AS n, mail FROM contact)') . ' AS s' } ],
  [ 'a row of two rows, of two each', [ 6, 12, 24 ], sub { "SELECT NULL::pair$_[0], mail FROM contact" } ],
  [ 'recursive query', [ 15, 30, 60 ], sub {
      my ($n) = @_;
      return 'WITH RECURSIVE r AS (SELECT 1 AS n, ' . all('c#', $n) . ' FROM wide100 UNION ALL SELECT n + 1, ' . all(q{c# || 'x'}, $n) . ' FROM r WHERE n < 3) SELECT * FROM r' } ],
  (map { my $what = $_;
         [ "columns: $what->[0]", \@wide, sub { my ($n) = @_; $what->[1] =~ s/TABLE/wide$n/gr =~ s/COLUMNS/all('c#', $n)/ger } ] }
     [ 'all', 'SELECT * FROM TABLE' ], [ 'none', 'SELECT count(*) FROM TABLE' ], [ 'DISTINCT', 'SELECT DISTINCT * FROM TABLE' ],
     [ 'ORDER BY', 'SELECT * FROM TABLE ORDER BY COLUMNS' ], [ 'GROUP BY', 'SELECT COLUMNS FROM TABLE GROUP BY COLUMNS' ],
     [ 'UNION', 'SELECT * FROM TABLE UNION SELECT * FROM TABLE' ], [ 'join', 'SELECT * FROM TABLE AS a JOIN TABLE AS b USING (c1)' ],
     [ 'whole row', 'SELECT a, a::text FROM TABLE AS a' ], [ 'INSERT', q{INSERT INTO TABLE (id, c1) VALUES (0, 'x')} ],
     [ 'UPDATE', q{UPDATE TABLE SET c1 = c2 WHERE id = 1} ], [ 'INSERT SELECT', q{INSERT INTO TABLE SELECT * FROM TABLE WHERE id = 2} ]),
  (map { my $what = $_; [ "partitions: $what->[0]", \@parts, sub { $what->[1] =~ s/TABLE/part$_[0]/gr }, $what->[2] ] }
     [ 'SELECT', 'SELECT * FROM TABLE' ], [ 'INSERT', q{INSERT INTO TABLE VALUES (3, 'x')}, kConstant ],
     [ 'DELETE', 'DELETE FROM TABLE WHERE id = 4', kConstant ],
     [ 'SELECT of some', q{SELECT id FROM TABLE WHERE c1 = 'x' ORDER BY c1} ]),
);

my $node = RedoubtNode->make('planning', people => 0, conf => [
  'max_locks_per_transaction = 256', 'jit = off', 'max_parallel_workers_per_gather = 0', 'join_collapse_limit = 1', 'from_collapse_limit = 1',
  'autovacuum = off', q{shared_preload_libraries = 'pg_stat_statements,redoubt'} ]);
$node->admin('CREATE EXTENSION redoubt; CREATE TABLE contact (id integer PRIMARY KEY, mail text, phone text)');
$node->admin(q{INSERT INTO contact SELECT i, 'm' || i, 'p' || i FROM generate_series(1, 3) AS i});
$node->admin('CREATE TYPE pair0 AS (a text, b text);' . join ';', map { my $of = $_ - 1; "CREATE TYPE pair$_ AS (a pair$of, b pair$of)" } 1 .. 24);
for my $n (@wide) {
  $node->admin("CREATE TABLE wide$n (id integer, " . all('c# text', $n) . "); INSERT INTO wide$n (id, c1) VALUES (1, 'x')");
}
for my $n (@parts) {
  $node->admin("CREATE TABLE part$n (id integer, c1 text) PARTITION BY RANGE (id);" .
    join ';', map { "CREATE TABLE part${n}_$_ PARTITION OF part$n FOR VALUES FROM ($_) TO (" . ($_ + 1) . ')' } 0 .. $n - 1);
}
$node->admin('VACUUM ANALYZE');

# measure STATEMENT: the least milliseconds of an execution, the kilobytes by which the first raised the peak of the
# backend's memory, and the relations that it locks.
sub measure {
  my ($statement) = @_;
  my $figure = sub { "SELECT 'FIGURE', $_[0];\n" };
  my $cpu = $figure->(q{split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)});
  my $peak = $figure->(q{substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')});
  my $locks = $figure->(q{count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'});
  my ($out, $err) = ('', '');
  my $rc = $node->psql('postgres', "SET statement_timeout = '20s';\nBEGIN;\n$cpu$peak$statement;\n$peak" . "$cpu$statement;\n$cpu" x kRuns . "${locks}ROLLBACK;\n",
    stdout => \$out, stderr => \$err, on_error_stop => 1);
  return { error => $err =~ s/\n.*//sr } if $rc != 0;
  my @figures = $out =~ /^FIGURE\|(\d+)$/mg;
  my ($first, $before, $after) = splice @figures, 0, 3;
  my $held = pop @figures;
  my $least;
  while (@figures) {
    my ($begin, $end) = splice @figures, 0, 2;
    my $ms = ($end - $begin) / 1e6;
    $least = $ms if !defined $least || $ms < $least;
  }
  return { ms => $least, kb => $after - $before, locks => $held };
}

my %plain;
for my $shape (@shapes) {
  my ($name, $sizes, $statement) = @$shape;
  $plain{$name}{$_} = measure($statement->($_)) for @$sizes;
}
my @labels = map { "contact.$_" } qw(mail phone);
for my $n (@wide) { push @labels, map { "wide$n.c$_" } 1 .. $n }
push @labels, map { "part$_.c1" } @parts;
$node->admin("BEGIN;" . join('', map { "SECURITY LABEL FOR redoubt ON COLUMN $_ IS 'redoubt.text_token';" } @labels) . 'COMMIT;');

for my $shape (@shapes) {
  my ($name, $sizes, $statement, $growth) = @$shape;
  my %labelled = map { $_ => measure($statement->($_)) } @$sizes;
  if (my ($error) = grep { defined } map { $_->{error} } values %{ $plain{$name} }, values %labelled) {
    fail("$name: $error");
    next;
  }
  my @added = map { $labelled{$_}{ms} - $plain{$name}{$_}{ms} } @$sizes;
  my $said = join ', ', map { sprintf '%d: %.2f of %.2f ms', $sizes->[$_], $added[$_], $labelled{ $sizes->[$_] }{ms} } 0 .. $#$sizes;
  my ($small) = sort { $b <=> $a } $added[0], kFloor;
  my $own = $plain{$name}{ $sizes->[-1] }{ms};
  ok($added[-1] <= ($growth // kGrowth) * $small || (!defined $growth && $added[-1] <= $own), "$name: " . (defined $growth ? 'no growth' : 'no more than linear') . " ($said)");
  my $largest = $sizes->[-1];
  # AddressSanitizer keeps what is freed from being used again.
  cmp_ok($labelled{$largest}{kb} - $plain{$name}{$largest}{kb}, '<', 10 * 1024, "$name: memory") unless $ENV{ASAN_OPTIONS};
  is($labelled{$_}{locks}, $plain{$name}{$_}{locks}, "$name: locks, at $_") for $name =~ /^partitions: (?:INSERT|DELETE)/ ? @$sizes : ();
}

$node->stop;
done_testing();
