# own_tables.pl - proves that what is read from own tables is checked before it is used: a superuser writes nonsense into
# every column of every own table, one at a time, and gives the columns other types; new sessions then use tokens, limits
# and keys.  The server never crashes, and no error is an internal one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('own_tables');
$node->admin(<<~'SQL');
  SELECT redoubt.create_token_type('public.card', method => 'fpe', format => 'digits(8,20)');
  SELECT redoubt.create_token_type('public.number', method => 'fpe', format => 'integer(1000000,9999999)');
  SELECT redoubt.create_token_type('public.code', method => 'vault', ttl => '1 day');
  SELECT redoubt.create_token_type('public.ssn', method => 'vault', format => 'us_ssn');
  SELECT redoubt.create_token_type('public.blob', base => 'bytea');
  DO $$
  DECLARE
    gate regprocedure;
  BEGIN
    FOR gate IN SELECT p.oid FROM pg_proc AS p WHERE cardinality(p.proacl) = 0 LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO regress_lead', gate);
    END LOOP;
  END $$;
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1000000, '1 day', burst => 1000000, on_excess => 'throttle');
  CREATE TABLE t (email redoubt.email_token, card public.card, number public.number, code public.code, ssn public.ssn, blob public.blob);
  GRANT ALL ON t TO regress_lead;
  CREATE TABLE p (id integer, email text);
  ALTER TABLE p OWNER TO regress_lead;
  GRANT redoubt_admin TO regress_lead;
  SQL
my $insert = <<~'SQL';
  INSERT INTO t SELECT redoubt.email_token('a@example.com'), '4929182736'::text::public.card, 4711000::bigint::public.number,
    '4711'::text::public.code, '123-45-6789'::text::public.ssn, public.blob('\x00ff'::bytea);
  SQL
$node->ask('regress_lead', $insert);
$node->ask('regress_lead', q{CALL redoubt.protect_column('p', 'email', 'redoubt.email_token', swap => false)});

# Each kind of use by itself, so that one that fails hides no other.
my @uses = (
  $insert, 'SELECT * FROM t', "SET redoubt.reveal = 'plain'; SELECT * FROM t", "SET redoubt.reveal = 'masked'; SELECT email, card, number, code, ssn FROM t",
  (map { "SELECT redoubt.detokenize($_) FROM t" } qw(email card number code ssn blob)), (map { "SELECT redoubt.mask($_) FROM t" } qw(email card code)),
  'SELECT redoubt.detokenize(array_agg(email)), redoubt.detokenize(array_agg(code)) FROM t', 'SELECT redoubt.token_info(email), redoubt.token_info(card), redoubt.token_info(ssn) FROM t',
  q{SELECT redoubt.tokenize('b@example.com', 'redoubt.email_token')}, q{SELECT public.code_find('4711')},
  'SELECT * FROM redoubt.usage', 'SELECT * FROM redoubt.limits', q{SELECT * FROM redoubt.explain_limit('regress_lead', 'redoubt.email_token', 'reveal')},
  'SELECT redoubt.sweep_vault(10)', 'CALL redoubt.reseal_vault()', 'SELECT redoubt.rewrap_keys()', q{SELECT redoubt.rotate_key('default')},
  q{SELECT redoubt.disable_tokens('public.code'), redoubt.enable_tokens('public.code')}, 'SELECT count(*) FROM redoubt.token_types',
  q{INSERT INTO p VALUES (1, 'a@example.com')}, 'SELECT * FROM redoubt.progress', q{SELECT redoubt.protect_step('p', 'email', 'redoubt.email_token', 10, '1 s', true, true)},
  q{SELECT redoubt.protect_undo_step('p', 'email', '1 s')}, 'DROP TABLE p', q{SELECT count(*) FROM redoubt.check_protect('p', 'email', 'redoubt.email_token')},
  'CREATE TEMP TABLE x (a redoubt.email_token)', 'EXPLAIN SELECT * FROM t ORDER BY email');
my $script = join("\n", map { /\ACALL/ ? "$_;" : "BEGIN; $_; ROLLBACK;" } map { s/;\s*\z//r } @uses) . "\n";

# Uses everything from a new session each; returns the SQLSTATEs.
sub answers {
  my ($out, $err) = ('', '');
  $node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 0, extra_params => [ '-U', 'regress_lead', '-v', 'VERBOSITY=sqlstate' ]);
  die "the connection was lost: $err" if $err =~ /connection to server was lost|server closed the connection|terminated/;
  return map { /ERROR:\s+(\w{5})/ ? $1 : () } split /\n/, $err;
}
is_deeply([ answers() ], [], 'everything works before');

my %nonsense = (
  text => [ q{''}, q{'nonsense(('}, q{repeat('x', 100000)}, q{E'\x01'}, q{'vault'}, q{'fpe'}, q{'sealed'}, q{'bytea'}, q{'bigint'}, q{'probe'}, q{'integer(1,9)'} ],
  name => [ q{''}, q{'nobody'} ],
  bytea => [ q{''}, q{'\x00'}, q{decode(repeat('ff', 72), 'hex')}, q{decode(repeat('00', 100000), 'hex')} ],
  uuid => [q{'00000000-0000-0000-0000-000000000000'}],
  boolean => [ 'true', 'false' ],
  smallint => [ '0', '-1', '1', '32767', '-32768' ],
  oid => [ '0', '1259', '4294967295' ],
  integer => [ '0', '-1', '65536', '2147483647', '-2147483648' ],
  bigint => [ '0', '-1', '9223372036854775807', '-9223372036854775808' ],
  interval => [ q{'0'}, q{'-1 day'}, q{'178000000 years'}, q{'-178000000 years'}, q{'1 microsecond'} ],
  'timestamp with time zone' => [ q{'-infinity'}, q{'infinity'} ],
  regtype => [ '0', '4294967295', q{'integer'} ],
  limit_type => [ map { "'$_'::regtype::redoubt.limit_type" } '0', '4294967295', 'integer' ],
  limit_role => [ map { "'$_'::regrole::redoubt.limit_role" } '0', '4294967295' ]);
my %other_type = (smallint => 'integer', oid => 'bigint', text => 'integer', name => 'integer', bytea => 'integer', uuid => 'integer', boolean => 'integer', integer => 'bigint',
  bigint => 'integer', interval => 'integer', 'timestamp with time zone' => 'integer', regtype => 'bigint',
  limit_type => 'bigint', limit_role => 'bigint');

my ($tries, $internal) = (0, '');
sub try_it {
  my ($own, $what) = @_;
  my ($out, $err) = ('', '');
  return if $node->psql('postgres', $what, stdout => \$out, stderr => \$err, on_error_stop => 1) != 0;
  ++$tries;
  for my $code (eval { answers() }, $@ ? 'lost' : ()) {
    $internal .= "$code after $what\n" if $code =~ /\AXX000|lost/;
  }
  return;
}

for my $own (qw(token_type key limit_rule vault protection)) {
  # The table as a superuser may leave it, and a way back.
  my $columns = $node->admin("SELECT attname || '|' || format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'redoubt.$own'::regclass AND attnum > 0");
  for my $pair (split /\n/, $columns) {
    my ($column, $type) = split /\|(?:redoubt\.)?/, $pair;
    for my $value ('NULL', @{ $nonsense{$type} // die "no nonsense of type $type" }) {
      $node->admin("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT * FROM redoubt.$own");
      my $drop = $node->admin("SELECT string_agg(format('DROP CONSTRAINT %I', conname), ', ') FROM pg_constraint WHERE conrelid = 'redoubt.$own'::regclass AND contype = 'c'");
      my $null = $value eq 'NULL' ? "ALTER TABLE redoubt.$own ALTER \"$column\" DROP NOT NULL;" : '';
      $node->admin("ALTER TABLE redoubt.$own $drop") if $drop ne '';
      try_it($own, "$null UPDATE redoubt.$own SET \"$column\" = $value");
      try_it($own, "$null UPDATE redoubt.$own SET \"$column\" = $value WHERE ctid = (SELECT min(ctid) FROM redoubt.$own)") if $own ne 'limit_rule';
      # And mended by hand, in a new session as well.
      $node->admin("DELETE FROM redoubt.$own; INSERT INTO redoubt.$own SELECT * FROM kept");
    }
  }
}

# Columns of other types: the table is as it was afterwards, because only the catalog is put back.
for my $own (qw(token_type key limit_rule vault protection)) {
  my $columns = $node->admin("SELECT attname || '|' || format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'redoubt.$own'::regclass AND attnum > 0 AND NOT attisdropped");
  for my $pair (split /\n/, $columns) {
    my ($column, $type) = split /\|(?:redoubt\.)?/, $pair;
    try_it($own, "ALTER TABLE redoubt.$own RENAME TO kept_$own; CREATE TABLE redoubt.$own AS SELECT * FROM redoubt.kept_$own; "
        . "ALTER TABLE redoubt.$own ALTER \"$column\" TYPE $other_type{$type} USING 1");
    $node->admin("DROP TABLE redoubt.$own; ALTER TABLE redoubt.kept_$own RENAME TO $own");
  }
}
cmp_ok($tries, '>', 100, 'there were many tries');
is($internal, '', 'no crash and no internal error');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|PANIC|cache lookup failed/, 'the log has no crash');
is_deeply([ answers() ], [], 'everything works after');
done_testing();
