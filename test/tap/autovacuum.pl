# autovacuum.pl - proves that autovacuum, which nobody pays for, gives no protected value to
# a function of the table's owner: it refuses to analyse the table and the log tells why.
# It goes on where the function is trusted or the column is not protected.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('autovacuum', conf => [
  'autovacuum = on', 'autovacuum_naptime = 1s', 'autovacuum_analyze_threshold = 1', 'autovacuum_analyze_scale_factor = 0',
]);

# The functions keep what they are given.
$node->admin(<<'SQL');
CREATE ROLE regress_av_owner LOGIN;
CREATE SCHEMA av AUTHORIZATION regress_av_owner;
SET ROLE regress_av_owner;
CREATE SEQUENCE av.calls;
CREATE FUNCTION av.taken(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM nextval('av.calls'); RETURN $1; END $$;
CREATE TABLE av.labelled (id int, email text) WITH (autovacuum_enabled = off);
CREATE TABLE av.plain (id int, email text) WITH (autovacuum_enabled = off);
INSERT INTO av.labelled SELECT n, 'v' || n FROM generate_series(1, 100) AS n;
INSERT INTO av.plain SELECT n, 'v' || n FROM generate_series(1, 100) AS n;
CREATE INDEX ON av.labelled (av.taken(email));
CREATE INDEX ON av.plain (lower(email));
SELECT setval('av.calls', 1, false);
RESET ROLE;
SECURITY LABEL FOR redoubt ON COLUMN av.labelled.email IS 'text_token';
SQL

sub analysed {
  my ($table) = @_;
  return $node->admin("SELECT autoanalyze_count > 0 FROM pg_stat_user_tables WHERE relid = '$table'::regclass") eq 't';
}

# Turns autovacuum on for a table and changes every row.
sub wake {
  my ($table) = @_;
  $node->admin("ALTER TABLE $table SET (autovacuum_enabled = on); UPDATE $table SET id = id + 1; SELECT setval('av.calls', 1, false)");
}

sub wait_until {
  my ($what) = @_;
  for (1 .. 600) {
    return 1 if $what->();
    select undef, undef, undef, 0.1;
  }
  return 0;
}

my $called = 'SELECT is_called FROM av.calls';
my $refusal = qr/indexes or statistics of table "labelled" would give protected values to a function that is not trusted/;

wake('av.labelled');
ok(wait_until(sub { $node->log_text =~ $refusal }), 'autovacuum refuses, and the log tells');
is($node->admin($called), 'f', 'the function was not called');
ok(!analysed('av.labelled'), 'the table was not analysed');

wake('av.plain');
ok(wait_until(sub { analysed('av.plain') }), 'a table without protected columns is analysed');

$node->admin(q{SECURITY LABEL FOR redoubt ON FUNCTION av.taken(text) IS 'trusted'});
wake('av.labelled');
ok(wait_until(sub { analysed('av.labelled') }), 'with the function trusted, the table is analysed');
is($node->admin($called), 't', 'by the function');

done_testing();
