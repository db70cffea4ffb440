# audit_query.pl - proves that a query of redoubt.audit reads what it asks for: with a condition on time, sequence or segment,
# or for the newest events, no more pages the longer the trail is; that the answer is the one which reading everything
# gives; and that an index of a segment is not believed once the file is another one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;
use Time::HiRes qw(sleep time);

my $node = RedoubtNode->make('audit_query', conf => [ 'redoubt.audit_segment_size = 256kB', 'temp_file_limit = 512kB', 'log_temp_files = 0' ]);
$node->admin('CREATE ROLE regress_auditor LOGIN; GRANT redoubt_auditor TO regress_auditor');
sub grow { $node->ask('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;' x 1500); return scalar $node->audit_segments }
my $reference = 'CREATE TEMP TABLE every AS SELECT segment, line, sequence, "time", event FROM redoubt.audit;';

# Conditions, each of which must give what the same condition gives of the whole trail.
grow();
sleep 2.5;    # the time in which a file is not indexed
my $segments = grow();
cmp_ok($segments, '>', 12, 'the trail has many segments');
my @conditions = (
  'segment = 3', 'segment = 3::smallint', '3 = segment', 'segment > 3 AND segment <= 5', 'segment < 2', 'segment IN (2, 4)', 'segment = 99', 'segment = -1',
  'segment >= 9223372036854775807', 'segment = NULL',
  'sequence = 1000', 'sequence BETWEEN 1000 AND 1500', '1000 > sequence', 'sequence >= (SELECT max(sequence) - 5 FROM every)', 'sequence < 0',
  q{"time" > (SELECT max("time") - interval '1 s' FROM every)}, q{"time" <= (SELECT min("time") FROM every)}, q{"time" = (SELECT "time" FROM every WHERE sequence = 700)},
  q{"time" < 'infinity'}, q{"time" > 'infinity'}, q{"time" > '-infinity'}, q{"time" > 'today'::date}, q{now() - interval '1 day' < "time"},
  q{"time" > (SELECT "time" FROM every WHERE sequence = 700) AND segment < 6 AND event = 'reveal'}, 'segment = 2 OR sequence < 20');
for my $round ('without indexes', 'with them') {
  for my $condition (@conditions) {
    my ($different, $rows) = split /\|/, $node->ask('regress_auditor', <<~"SQL");
      $reference
      CREATE TEMP TABLE answer AS SELECT segment, line, sequence, "time", event FROM redoubt.audit WHERE ($condition) AND sequence <= (SELECT max(sequence) FROM every);
      CREATE TEMP TABLE expected AS SELECT * FROM every WHERE $condition;
      SELECT (SELECT count(*) FROM (SELECT * FROM answer EXCEPT ALL SELECT * FROM expected) AS a)
           + (SELECT count(*) FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM answer) AS b), (SELECT count(*) FROM answer);
      SQL
    is($different, '0', "$round: $condition ($rows rows)");
  }
}
my @indexes = glob($node->audit_directory . '/*.index');
cmp_ok(scalar @indexes, '>', 4, 'segments have been indexed');
is(scalar(grep { (stat $_)[2] & 077 } @indexes), 0, 'for nobody but the server');
is($node->verdict, 't', 'the trail verifies with its indexes');

# The newest events.
for my $query ('SELECT %s FROM redoubt.audit ORDER BY sequence DESC LIMIT 7', 'SELECT %s FROM redoubt.audit WHERE segment < 4 ORDER BY sequence DESC LIMIT 7 OFFSET 3',
  q{SELECT %s FROM redoubt.audit WHERE event = 'settings' ORDER BY sequence DESC LIMIT 2}) {
  my $expected = $query =~ s/redoubt\.audit/every/r;
  is($node->ask('regress_auditor', $reference . sprintf("SELECT count(*) FROM ($query) AS a JOIN ($expected) AS b USING (sequence)", 'sequence', 'sequence')),
    $query =~ /LIMIT (\d+)/ && $query !~ /settings/ ? $1 : 1, $query);
  unlike($node->ask('regress_auditor', 'EXPLAIN ' . sprintf($query, 'sequence')), qr/Sort/, "$query: nothing is sorted");
}
my $numbers = $node->ask('regress_auditor', 'SELECT sequence FROM redoubt.audit ORDER BY sequence DESC LIMIT 500');
is($numbers, join("\n", sort { $b <=> $a } split /\n/, $numbers), 'newest first, over more than one segment');
like($node->ask('regress_auditor', 'EXPLAIN SELECT a.sequence FROM redoubt.audit AS a JOIN redoubt.audit AS b USING (sequence) ORDER BY 1 DESC LIMIT 1'), qr/Sort|Hash/, 'no join relies on that order');

# A cursor outlives the subtransaction that it was opened in, and can be gone through again.
is($node->ask('regress_auditor', <<~'SQL'), "2\n3\n4\n2", 'a cursor over a savepoint');
  BEGIN;
  SAVEPOINT a;
  DECLARE c SCROLL CURSOR FOR SELECT sequence FROM redoubt.audit;
  FETCH c;
  RELEASE a;
  SAVEPOINT b;
  FETCH c;
  ROLLBACK TO b;
  FETCH c;
  FETCH FIRST FROM c;
  SQL
is($node->ask('regress_auditor', 'SELECT string_agg(n::text, $$,$$) FROM generate_series(2, 4) AS s, LATERAL (SELECT count(*) > 10 AS n FROM redoubt.audit WHERE segment = s OFFSET 0) AS x'),
  'true,true,true', 'a condition that changes with every row of a join');
$node->fails_with('regress_lead', 'SELECT * FROM redoubt.audit_line', '42501', qr/permission denied/, 'none but the auditor reads lines');

# read SQL: the bytes that a new session reads from files for SQL.
sub read_by {
  my ($sql) = @_;
  my ($out) = ('');
  my ($before, $after) = $node->admin("SELECT pg_read_file('/proc/' || pg_backend_pid() || '/io'); $sql; SELECT pg_read_file('/proc/' || pg_backend_pid() || '/io')") =~ /rchar: (\d+)/g;
  return $after - $before;
}
SKIP: {
  skip 'without /proc/self/io nobody says what was read', 8 unless -r '/proc/self/io' && eval { read_by('SELECT 1'); 1 };
  my %query = (
    'the last second' => q{SELECT count(*) FROM redoubt.audit WHERE "time" > now() - interval '1 s'},
    'a segment' => 'SELECT count(*) FROM redoubt.audit WHERE segment = 3',
    'the newest' => 'SELECT sequence FROM redoubt.audit ORDER BY sequence DESC LIMIT 5',
    'a sequence number' => 'SELECT count(*) FROM redoubt.audit WHERE sequence = 1234');
  my $whole = 0;
  sleep 2.5;
  read_by('SELECT count(*) FROM redoubt.audit WHERE sequence < 0');    # indexes all
  sleep 1;
  $whole += -s $_ for $node->audit_segments;
  for my $title (sort keys %query) {
    my $bytes = read_by($query{$title});
    cmp_ok($bytes, '<', 2 * 1024 * 1024, "$title: little is read ($bytes of $whole bytes)");
    cmp_ok($bytes, '<', $whole / 2, "$title: which is not the trail");
  }
}
is($node->admin('SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()'), '0', 'no query has stored the trail')
  if $node->admin('SELECT pg_stat_force_next_flush(); SELECT count(*) FROM redoubt.audit');

# An index is of one file.
my ($third) = grep { /0003\.jsonl$/ } $node->audit_segments;
my $content = read_file($third);
my ($sequence) = ($content =~ /"sequence":(\d+)\}/g)[20];
is($node->admin('SELECT count(*) FROM redoubt.audit WHERE sequence = 987654321'), '0', 'a number that no line has');
write_file($third, $content =~ s/"sequence":$sequence\}/"sequence":987654321}/r);
is($node->admin('SELECT segment FROM redoubt.audit WHERE sequence = 987654321'), '3', 'a doctored line is found in an indexed segment');
write_file($third, $content);
my ($index) = glob "$third.index";
sleep 2.5;
is($node->admin("SELECT segment FROM redoubt.audit WHERE sequence = $sequence"), '3', 'well again');
my $true = read_file($index);
for my $forged ($true =~ s/extent \K\d+ \d+/1 2/r, $true =~ s/.\z/0/r =~ s/extent \K\d+ \d+/1 2/r, read_file($indexes[0]), '', "x\n") {
  write_file($index, $forged);
  is($node->admin("SELECT segment FROM redoubt.audit WHERE sequence = $sequence"), '3', 'a forged index hides nothing');
}

done_testing();
