#!/usr/bin/env perl
# differential.pl - random queries, each run on two copies of the same tables that differ in protected values only.
#
#   differential.pl [--tokens] [--seed N] [--queries N] [--show TEXT]
#
# What differs between the two answers, rows or notices, has been told by protected values: a run must have been
# charged at least one value or probe for each row and notice that the other has not, and at least one in any case.
# Nulls, lengths and numbers of rows are the same in both copies, and the planner knows nothing of the values, so
# that it plans both runs alike.
# With --tokens the protected texts are in token columns, which the queries take for the texts that they replaced.
# The server is named by PGHOST, PGPORT; its superuser is postgres, its database postgres, with the extension.  Makes
# schemas twin_a and twin_b, and a role twin that it runs as, and drops them.  The same seed makes the same queries.
# A query that is printed need not be a fault: values that were paid for once may come out in many rows of a join, and
# count(DISTINCT) of one column of a table is free.
# Prints each query that was charged too little, with --show all whose text contains TEXT; the last line is
# "N passed, N failed".
use strict;
use warnings;
use File::Temp qw(tempdir);

my ($seed, $queries, $show, $code) = (1, 400, undef, 'text');
while (@ARGV) {
  my $option = shift;
  if ($option eq '--tokens') { $code = 'redoubt.text_token'; next; }
  my $value = shift;
  if ($option eq '--seed') { $seed = $value }
  elsif ($option eq '--queries') { $queries = $value }
  elsif ($option eq '--show') { $show = $value }
  else { die "unknown argument \"$option\"\n" }
}
delete $ENV{PGUSER};
$ENV{PGDATABASE} = 'postgres';
$ENV{PGOPTIONS} = '-c client_min_messages=notice -c statement_timeout=20s';
my $folder = tempdir(CLEANUP => 1);

# A generator of our own: the same everywhere.
my $state = $seed;
sub pick { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0]; }
sub one { return $_[pick(scalar @_)]; }

# ------------------------------------------------------------------ expressions over the tables in @$from

our $depth = 0;
my $alias = 0;

# Columns of an alias: [name, table].
sub column {
  my ($from, @names) = @_;
  my @have = map { my ($name, $columns) = @$_; map { "$name.$_" } grep { my $c = $_; grep { $_ eq $c } @names } @$columns } @$from;
  return @have ? one(@have) : undef;
}
sub text { my ($from) = @_;
  my $bare = column($from, 'code', 'word', 'note') // "'c1'";
  return $bare if $depth > 1;
  local $depth = $depth + 1;
  my $kind = pick(15);
  return "upper($bare)" if $kind == 0;
  return "left($bare, " . (1 + pick(3)) . ")" if $kind == 1;
  return "($bare || " . text($from) . ")" if $kind == 2;
  return "coalesce($bare, " . text($from) . ")" if $kind == 3;
  return "case when " . condition($from) . " then $bare else " . text($from) . " end" if $kind == 4;
  return "nullif($bare, " . text($from) . ")" if $kind == 5;
  return "(select " . one('min(', 'max(') . subquery($from, 'text', 1) . ")" if $kind == 6;
  return "(array(select " . subquery($from, 'text', 0) . "))[" . (1 + pick(2)) . "]" if $kind == 7;
  return "said($bare)" if $kind == 8;
  return "(select $bare where " . condition($from) . ")" if $kind == 9;
  return $bare;
}
sub number { my ($from) = @_;
  my $bare = column($from, 'id', 'grade', 'n', 'pid', 'region') // pick(9);
  return $bare if $depth > 1;
  local $depth = $depth + 1;
  my $kind = pick(12);
  return "length(" . text($from) . ")" if $kind == 0;
  return "ascii(substr(" . text($from) . ", 2))" if $kind == 1;
  return "($bare + " . number($from) . ")" if $kind == 2;
  return "(select count(*) from " . rest($from) . ")" if $kind == 3;
  return "(select " . one('min(', 'max(', 'sum(', 'count(', 'count(distinct ') . subquery($from, 'number', 1) . ")" if $kind == 4;
  return "case when " . condition($from) . " then $bare else " . number($from) . " end" if $kind == 5;
  return "tell(" . number($from) . ", $bare)" if $kind == 6;
  return "(select tell($bare, " . pick(5) . "))" if $kind == 7;
  return $bare;
}
sub condition { my ($from) = @_;
  my $code = column($from, 'code', 'word') // "'c1'";
  return "$code = 'c" . pick(4) . "'" if $depth > 1;
  local $depth = $depth + 1;
  my $kind = pick(16);
  return "$code " . one('=', '<', '>=') . " 'c" . pick(4) . "'" if $kind < 3;
  return number($from) . one(' = ', ' < ', ' > ') . pick(6) if $kind == 3;
  return text($from) . one(' = ', ' < ') . text($from) if $kind == 4;
  return "(" . condition($from) . one(' and ', ' or ') . condition($from) . ")" if $kind < 7;
  return "not " . condition($from) if $kind == 7;
  return one('', 'not ') . "exists (select 1 from " . rest($from) . ")" if $kind < 10;
  return text($from) . one(' in', ' not in', ' = any', ' > all') . " (select " . subquery($from, 'text', 0) . ")" if $kind == 10;
  return "$code = any (array(select " . subquery($from, 'text', 0) . "))" if $kind == 11;
  return "($code, " . number($from) . ") < ('c" . pick(4) . "', 3)" if $kind == 12;
  return text($from) . " is null" if $kind == 13;
  return (column($from, 'id', 'pid') // 3) . " <= " . (3 + pick(20));
}

# ------------------------------------------------------------------ FROM

my @person = ('id', 'code', 'grade', 'region', 'note');
my @item = ('id', 'pid', 'word', 'n');
my @slice = ('id', 'code', 'region');

# A table with an alias: (text, [alias, [columns]]).
sub table { my ($outer) = @_;
  my $name = 't' . ++$alias;
  my $kind = $depth > 1 ? pick(4) : pick(13);
  return ("person $name", [$name, \@person]) if $kind < 2;
  return ("item $name", [$name, \@item]) if $kind == 2;
  return ("slice $name", [$name, \@slice]) if $kind == 3;
  local $depth = $depth + 1;
  my $ends = one('', ' offset 0', ' order by 1 limit 5', ' limit 7');
  my ($inner, $columns) = tables([]);
  my @both = (@$columns, @$outer);
  if ($kind == 9) {
    return ("(with w as materialized (select " . number($columns) . " n, " . text($columns) . " word from $inner) select a.n, b.word from w a, w b " .
        "where a.n = b.n) $name", [$name, ['n', 'word']]);
  }
  if ($kind == 10) {
    return ("unnest((select array_agg(row(" . text($columns) . ", " . number($columns) . ")::pair) from $inner)) $name(word, n)", [$name, ['word', 'n']]);
  }
  if ($kind == 11) {
    my $step = 't' . ++$alias;
    my @step = (['w', ['n', 'word']], [$step, \@person]);
    return ("(with recursive w(n, word) as (select 1, " . text($columns) . "::text from $inner union" . one('', ' all') . " select w.n + 1, " .
        text(\@step) . "::text from w join person $step on $step.id = w.n where w.n < 4 and " . condition(\@step) . ") select n, word from w) $name",
      [$name, ['n', 'word']]);
  }
  if ($kind == 12) {
    return ("(select id, code from person where " . condition([['person', \@person]]) . one(' union', ' intersect', ' except') .
        " select id, code from person where region < 3) $name", [$name, ['id', 'code']]);
  }
  if ($kind == 4) {
    return ("lateral (select " . number(\@both) . " n, " . text(\@both) . " word, tell(" . number(\@both) . ", 7) grade from $inner where " .
        condition(\@both) . "$ends) $name", [$name, ['n', 'word', 'grade']]);
  }
  if ($kind == 5) {
    return ("(select " . number($columns) . " n, " . text($columns) . " code from $inner union all select id, word from item where " .
        "n < 3) $name", [$name, ['n', 'code']]);
  }
  if ($kind == 6) {
    return ("(select " . number($columns) . " n, " . aggregate($columns) . " word from $inner group by 1) $name", [$name, ['n', 'word']]);
  }
  if ($kind == 7) {
    return ("(select distinct " . number($columns) . " n, " . text($columns) . " word from $inner$ends) $name", [$name, ['n', 'word']]);
  }
  return ("(select id, " . number($columns) . " n from $inner cross join generate_series(1, 2) id$ends) $name", [$name, ['n']])
    unless grep { grep { $_ eq 'id' } @{ $_->[1] } } @$columns;
  return ("(select " . number($columns) . " n, " . text($columns) . " word, row_number() over (order by " . text($columns) .
      ") id from $inner$ends) $name", [$name, ['n', 'word', 'id']]);
}
sub aggregate { my ($from) = @_;
  my $filter = pick(3) ? '' : ' filter (where ' . condition($from) . ')';
  return one('max(' . text($from) . ')', 'min(' . text($from) . ')', 'count(*)', 'count(distinct ' . text($from) . ')',
    'string_agg(' . text($from) . ", ',' order by 1)", 'array_agg(' . number($from) . ')', 'json_agg(' . text($from) . ')',
    'sum(' . number($from) . ')', 'bool_or(' . condition($from) . ')') . "${filter}::text";
}
# Tables joined: (text, [[alias, columns], ...]).
sub tables { my ($outer) = @_;
  my ($sql, $first) = table($outer);
  my @from = ($first);
  for (1 .. ($depth > 0 ? 0 : pick(2))) {
    my ($more, $second) = table([@from, @$outer]);
    push @from, $second;
    my $join = $more =~ /^lateral/ ? one('join', 'left join') : one('join', 'left join', 'right join', 'full join');
    my $on = $join eq 'full join' ? number([$from[0]]) . ' = ' . number([$second]) : condition(\@from);
    $on = number([$from[0]]) . ' = ' . number([$second]) . ($join eq 'full join' ? '' : " and $on") if pick(2);
    $on =~ s/tell\(/tell_same(/g;
    $sql .= " $join $more on $on";
  }
  return ($sql, \@from);
}
# The rest of a subquery after FROM, correlated.
sub rest { my ($outer) = @_;
  local $depth = $depth + 1;
  my ($sql, $from) = tables($outer);
  return "$sql where " . condition([@$from, @$outer]) . one('', '', ' limit 1', ' offset 0');
}
# A subquery's select list and the rest; with an aggregate's parenthesis closed after the list.
sub subquery { my ($outer, $type, $closed) = @_;
  local $depth = $depth + 1;
  my ($sql, $from) = tables($outer);
  my @both = (@$from, @$outer);
  my $of = $closed ? $from : \@both;    # an aggregate of outer columns alone would be the outer query's
  my $value = $type eq 'text' ? text($of) : number($of);
  return "$value" . ($closed ? ')' : '') . " from $sql where " . condition(\@both);
}

sub query {
  ($alias, $depth) = (0, 0);
  my ($sql, $from) = tables([]);
  my $where = pick(4) ? ' where ' . condition($from) : '';
  my $kind = pick(8);
  return "select " . aggregate($from) . ", " . aggregate($from) . " from $sql$where" if $kind == 0;
  return "select " . number($from) . ", " . aggregate($from) . " from $sql$where group by " . one('1', 'rollup (1)', 'grouping sets ((1), ())') .
    one('', ' having ' . aggregate($from) . " < '5'") if $kind == 1;
  return "select " . number($from) . ", " . one('row_number()', 'lag(' . text($from) . ')', 'count(*)', 'first_value(' . number($from) . ')') .
    " over (partition by " . number($from) . " order by " . text($from) . ") from $sql$where" if $kind == 2;
  return "select " . number($from) . " from $sql$where " . one('union', 'intersect', 'except', 'union all') . " select n from item where n < 4" if $kind == 3;
  my @list = map { one(number($from), text($from)) } 1 .. 1 + pick(3);
  my $order = pick(3) ? '' : ' order by ' . one(text($from), number($from)) . ', 1';
  my $distinct = $order eq '' && !pick(4) ? 'distinct ' : '';
  return "select $distinct" . join(', ', @list) . " from $sql$where$order" . one('', '', ' limit 5', ' offset 3');
}

my @switches = map { "enable_$_" } qw(hashjoin mergejoin nestloop hashagg sort seqscan indexscan bitmapscan material memoize);

# ------------------------------------------------------------------ running

sub psql { my ($user, $script) = @_;
  open my $out, '>', "$folder/script" or die;
  print $out $script;
  close $out;
  system("psql -XAtq -U $user -f $folder/script >$folder/out 2>$folder/err");
}
sub blocks { my ($file) = @_;
  open my $in, '<', "$folder/$file" or die;
  my (%block, $key);
  while (<$in>) {
    chomp;
    if (/^@@ (\S+)$/) { $key = $1; $block{$key} = []; next; }
    push @{ $block{$key} }, $_ if defined $key;
  }
  return \%block;
}

sub copy_sql { my ($schema) = @_;
  my @rows;
  for my $id (1 .. 40) {
    my ($code, $grade) = ('c' . pick(4), 1 + pick(5));
    ($code, $grade) = ('NULL', $grade) if $id % 11 == 0;
    push @rows, "($id, " . ($code eq 'NULL' ? 'NULL' : "'$code'") . ", $grade, " . $id % 4 . ", 'n" . $id % 6 . "')";
  }
  my $slices = join ', ', map { "($_, 'c" . pick(4) . "', " . $_ % 2 . ")" } 1 .. 20;
  return <<"SQL";
CREATE SCHEMA $schema;
CREATE TABLE $schema.person (id int PRIMARY KEY, code $code, grade int, region int, note text);
CREATE TABLE $schema.slice (id int, code $code, region int) PARTITION BY LIST (region);
CREATE TABLE $schema.slice_0 PARTITION OF $schema.slice FOR VALUES IN (0);
CREATE TABLE $schema.slice_1 PARTITION OF $schema.slice FOR VALUES IN (1);
ALTER TABLE $schema.person ALTER code SET STATISTICS 0, ALTER grade SET STATISTICS 0;
ALTER TABLE $schema.slice ALTER code SET STATISTICS 0;
ALTER TABLE $schema.slice_0 ALTER code SET STATISTICS 0;
ALTER TABLE $schema.slice_1 ALTER code SET STATISTICS 0;
CREATE TABLE $schema.item (id int PRIMARY KEY, pid int, word text, n int);
@{[join "\n", map { $code eq 'text' ? "SECURITY LABEL FOR redoubt ON COLUMN $schema.$_.code IS 'text_token';" : () } 'person', 'slice']}
SECURITY LABEL FOR redoubt ON COLUMN $schema.person.grade IS 'text_token';
INSERT INTO $schema.person VALUES @{[join ', ', @rows]};
INSERT INTO $schema.slice VALUES $slices;
INSERT INTO $schema.item SELECT i, i % 40 + 1, 'c' || i % 5, i % 7 FROM generate_series(1, 60) i;
CREATE INDEX ON $schema.person (code); CREATE INDEX ON $schema.person (region, grade); CREATE INDEX ON $schema.item (pid);
ANALYZE $schema.person; ANALYZE $schema.slice; ANALYZE $schema.item;
GRANT USAGE ON SCHEMA $schema TO twin; GRANT SELECT ON ALL TABLES IN SCHEMA $schema TO twin;
SQL
}

my $drop = "SET client_min_messages = error;\nDROP SCHEMA IF EXISTS twin_a, twin_b, twin CASCADE;\nDO \$\$ BEGIN DROP OWNED BY twin; EXCEPTION WHEN undefined_object THEN NULL; END \$\$;\nDROP ROLE IF EXISTS twin;\n";
psql('postgres', "$drop CREATE ROLE twin LOGIN;\n" . copy_sql('twin_a') . copy_sql('twin_b') . <<'SQL');
CREATE SCHEMA twin;
GRANT USAGE ON SCHEMA twin TO twin;
GRANT EXECUTE ON FUNCTION redoubt.text_token(text), redoubt.search(redoubt.text_token), redoubt.detokenize(redoubt.text_token) TO twin;
ALTER ROLE twin SET redoubt.reveal = 'auto';
CREATE FUNCTION twin.charged() RETURNS numeric LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
  $$SELECT coalesce(sum(charged), 0) FROM redoubt.usage WHERE role = 'twin'::regrole AND operation <> 'tokenize'$$;
CREATE FUNCTION twin.tell(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'told % %', $1, $2; RETURN $2; END$$;
CREATE FUNCTION twin.said(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'told %', $1; RETURN $1; END$$;
CREATE TYPE twin.pair AS (word text, n bigint);
CREATE FUNCTION twin.tell_same(bigint, bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$BEGIN RAISE NOTICE 'told % %', $1, $2; RETURN $2; END$$;
SQL

my (@sql, $script);
for my $i (0 .. $queries - 1) {
  my $sql = query();
  my @off = grep { !pick(4) } @switches;
  push @sql, join('', map { "set $_ = off; " } @off) . $sql;
  $script .= "reset all;\n" . join('', map { "set $_ = off;\n" } @off);
  for my $copy ('a', 'b') {
    $script .= "set search_path = twin_$copy, twin;\n\\echo @@ $i:$copy:before\nselect twin.charged();\n" .
      "\\warn @@ $i:$copy\n\\echo @@ $i:$copy\n$sql;\n\\warn @@ none\n\\echo @@ $i:$copy:after\nselect twin.charged();\n";
  }
}
psql('twin', $script);
my ($rows, $told) = (blocks('out'), blocks('err'));
psql('postgres', $drop);

# How many of @$a are not in @$b.
sub missing { my ($a, $b) = @_;
  my %have;
  ++$have{$_} for @$b;
  return scalar grep { --$have{$_} < 0 } map { $have{$_} //= 0; $_ } @$a;
}

my ($passed, $failed, $differ, $errors) = (0, 0, 0, 0);
for my $i (0 .. $queries - 1) {
  my (%row, %notice, %charge, %error);
  for my $copy ('a', 'b') {
    $row{$copy} = $rows->{"$i:$copy"} // [];
    my %said;    # the same notice again tells no more than how often
    $notice{$copy} = [grep { !$said{$_}++ } map { /NOTICE:  (told .*)/ ? $1 : () } @{ $told->{"$i:$copy"} // [] }];
    $error{$copy} = (grep { /ERROR/ } @{ $told->{"$i:$copy"} // [] })[0];
    my ($before, $after) = ($rows->{"$i:$copy:before"}[0], $rows->{"$i:$copy:after"}[0]);
    $charge{$copy} = defined $after && defined $before ? $after - $before : 0;
  }
  ++$errors if $error{a} || $error{b};
  print "$i: $sql[$i]\n    a: $charge{a} for @{[scalar @{$row{a}}]} rows, @{[scalar @{$notice{a}}]} notices; b: $charge{b} for " .
    "@{[scalar @{$row{b}}]}, @{[scalar @{$notice{b}}]}; @{[$error{a} // $error{b} // '']}\n" if defined $show && index($sql[$i], $show) >= 0;
  if (grep { defined && /metered|plan analysis|unknown kind|terminating/ } values %error) {
    ++$failed;
    print "$i: $sql[$i]\n    @{[$error{a} // $error{b}]}\n";
    next;
  }
  my $same = "@{$row{a}}\n@{$notice{a}}" eq "@{$row{b}}\n@{$notice{b}}" && !$error{a} == !$error{b};
  if ($same) { ++$passed; next; }
  ++$differ;
  my @short;
  for (['a', 'b'], ['b', 'a']) {
    my ($copy, $other) = @$_;
    my ($answer, $heard) = (missing($row{$copy}, $row{$other}), missing($notice{$copy}, $notice{$other}));
    my $learnt = $answer > $heard ? $answer : $heard;    # what a function is given is not paid for again in the answer
    $learnt = 1 if $learnt == 0 || $error{$copy};
    push @short, "$copy: charged $charge{$copy}, tells $learnt" if $charge{$copy} < $learnt;
  }
  if (@short) { ++$failed; print "$i: $sql[$i]\n    @{[join '; ', @short]}\n"; }
  else { ++$passed; }
}
print "of $queries queries $differ differ, $errors are errors\n$passed passed, $failed failed\n";
exit($failed == 0 && $differ > 0 ? 0 : 1);
