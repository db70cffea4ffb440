# dump.pl - proves that a dump holds tokens and nothing but tokens, whoever makes it
# and whatever redoubt.reveal says, needs no key, and is complete: restored into
# another database it has the same tokens, types, limits, labels and keys, and the
# roles may there what they might before.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file);
use Test::More;

my $node = RedoubtNode->make('dump', conf => ['redoubt.max_subjects = 200']);
$node->admin(<<~'SQL');
  CREATE SCHEMA desk;
  GRANT USAGE ON SCHEMA desk TO PUBLIC;
  SELECT redoubt.create_key('desk');
  SELECT redoubt.create_token_type('desk.ticket', pattern => '^TM-[0-9]{7}$', "normalize" => 'upper', mask => 'keep_last(3)', key => 'desk');
  SELECT redoubt.create_token_type('note', deterministic => false);
  SELECT redoubt.create_token_type('desk.serial', method => 'fpe', format => 'SN-(\d{9})', key => 'desk');
  SELECT redoubt.create_token_type('desk.account', method => 'fpe', format => 'integer(1000000000,9999999999)', key => 'desk');
  SELECT redoubt.rotate_key('desk');
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1000, '1 hour', burst => 500, on_excess => 'throttle', max_delay => '3 s');
  SELECT redoubt.set_limit(NULL, 'desk.ticket', 'tokenize', 2000, '1 day', shared => true);
  SELECT redoubt.set_limit(NULL, 'redoubt.email_token', 'masked', 10, 'statement');
  GRANT EXECUTE ON FUNCTION desk.ticket(text), redoubt.detokenize(desk.ticket), redoubt.note(text), redoubt.detokenize(redoubt.note),
    desk.serial(text), redoubt.detokenize(desk.serial), desk.account(bigint), redoubt.detokenize(desk.account) TO regress_lead;
  GRANT EXECUTE ON FUNCTION redoubt.mask(desk.ticket) TO regress_agent;
  ALTER TABLE person ADD COLUMN ticket desk.ticket, ADD COLUMN note redoubt.note, ADD COLUMN tags redoubt.email_token[],
    ADD COLUMN serial desk.serial UNIQUE CHECK (serial LIKE 'SN-%'), ADD COLUMN account desk.account;
  CREATE INDEX ON person (ticket);
  CREATE TABLE request (ticket desk.ticket NOT NULL, legacy text);
  SECURITY LABEL FOR redoubt ON COLUMN request.legacy IS 'redoubt.email_token';
  GRANT SELECT ON request TO regress_clerk;
  CREATE VIEW masked AS SELECT id, redoubt.mask(email) AS email FROM person;
  GRANT SELECT ON masked TO regress_agent;
  CREATE ROLE regress_dumper LOGIN;
  GRANT pg_read_all_data, regress_lead TO regress_dumper;
  ALTER ROLE regress_dumper SET redoubt.reveal = 'plain';
  SQL
$node->ask('regress_lead', <<~'SQL');
  UPDATE person SET ticket = ('TM-000000' || id)::text, note = ('remark ' || id)::text, tags = ARRAY[email, email],
    serial = redoubt.tokenize('SN-00000000' || id, 'desk.serial'), account = desk.account(5550000000 + id);
  SQL
$node->admin(q{INSERT INTO request SELECT ticket FROM person});

my $plaintext = qr/person\d\@example\.com|\+1202555|TM-000000\d|remark \d|SN-00000000\d|555000000\d/;
like($node->ask('regress_dumper', 'SELECT * FROM person'), $plaintext, 'the dumping role sees plaintext in a query');

# What one database holds, as tokens.
my $content = <<~'SQL';
  SELECT * FROM person ORDER BY id;
  SELECT * FROM request ORDER BY ticket;
  SQL
my $policy = <<~'SQL';
  SELECT typ, class_id, method, base, pattern, normalize, mask, deterministic, key, format, key_version FROM redoubt.token_type ORDER BY class_id;
  SELECT name, version, wrapped, kek_fingerprint FROM redoubt.key ORDER BY name, version;
  SELECT id, role, token_type, operation, max_values, per, burst, on_excess, max_delay, shared FROM redoubt.limits ORDER BY id;
  SELECT objname, provider, label FROM pg_seclabels ORDER BY objname;
  SELECT p.oid::regprocedure::text COLLATE "C", a.grantee::regrole, a.privilege_type
  FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE a.grantee IN ('regress_lead'::regrole, 'regress_agent'::regrole) ORDER BY 1, 2;
  SQL
my $tokens = $node->admin($content);
my $policies = $node->admin($policy);
is(scalar(() = $policies =~ m{^detokenize.*regress_lead}mg), 6, 'privileges are compared') or diag $policies;
unlike($tokens, $plaintext, 'tokens are tokens');

# restored DATABASE, ROLES: DATABASE is as good as the original.
sub restored {
  my ($database) = @_;
  is($node->admin($content, database => $database), $tokens, "$database: same tokens");
  is($node->admin($policy, database => $database), $policies, "$database: same types, keys, limits, labels and privileges");
  return;
}

sub readable {
  my ($database) = @_;
  is($node->ask('regress_lead', q{SET search_path = public, desk; SELECT redoubt.detokenize(email), redoubt.detokenize(ticket), redoubt.detokenize(note),
      redoubt.detokenize(serial), redoubt.detokenize(account)
      FROM person WHERE email = 'person3@example.com' AND ticket = 'tm-0000003' AND serial = desk.serial('SN-000000003'::text)}, database => $database),
    'person3@example.com|TM-0000003|remark 3|SN-000000003|5550000003', "$database: readable by the granted role, found by plaintext");
  $node->fails_with('regress_clerk', 'SELECT redoubt.detokenize(email) FROM person', '42501', qr/permission denied/,
    "$database: not readable by others", database => $database);
  $node->fails_with('', 'SELECT redoubt.detokenize(email) FROM person', '42501', qr/permission denied/,
    "$database: nor by the superuser who restored it", database => $database);
  $node->fails_with('regress_lead', q{INSERT INTO person (id, ticket) VALUES (8, 'TM-1')}, '22P02', qr/token type desk\.ticket/,
    "$database: the pattern of one's own type holds", database => $database);
  is($node->ask('regress_agent', 'SELECT redoubt.mask(ticket) FROM person WHERE id = 3', database => $database) =~ s/\P{ASCII}+/-/r,
    '-003', "$database: and its mask");
  return;
}

# Every way to dump, by a superuser and by a role that sees plaintext.
my %options = (plain => [], inserts => ['--inserts'], columns => [ '--column-inserts', '--rows-per-insert=3' ], data => ['--data-only']);
for my $how (sort keys %options) {
  my $dump = $node->pg_dump(options => $options{$how});
  like($dump, qr/tok_/, "--$how: tokens");
  unlike($dump, $plaintext, "--$how: and no plaintext");
  is($node->pg_dump(options => $options{$how}, environment => { PGOPTIONS => '-c redoubt.reveal=plain' }), $dump, "--$how: the same under PGOPTIONS");
  for my $name ('pg_dump', 'reporting') {
    is($node->pg_dump(as => 'regress_dumper', options => $options{$how}, environment => { PGAPPNAME => $name }), $dump,
      "--$how: the same by a role with redoubt.reveal = 'plain', as $name");
  }
}
is($node->verdict, 't', 'the audit trail verifies');
is($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal' AND session_user_name <> 'regress_lead' AND application_name IN ('pg_dump', 'reporting')}),
  '0', 'no dump has revealed anything');
cmp_ok($node->admin(q{SELECT charged FROM redoubt.usage WHERE role = 'regress_dumper'::regrole AND operation = 'read' AND token_type = 'redoubt.email_token'::regtype}),
  '>=', 5, 'but reading is charged');

# Restored: as text, as an archive, as a directory.
my $folder = $node->basedir;
my $file = "$folder/dump.sql";
$node->command_ok([ 'pg_dump', '-U', 'regress_dumper', '-f', $file, 'postgres' ], 'a dump into a file');
$node->admin('CREATE DATABASE as_text');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'as_text', '-f', $file ], 'is restored');
restored('as_text');
readable('as_text');

$node->command_ok([ 'pg_dump', '--inserts', '-f', $file, 'postgres' ], 'a dump of INSERTs');
$node->admin('CREATE DATABASE as_inserts');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'as_inserts', '-f', $file ], 'is restored');
restored('as_inserts');

for my $format ('custom', 'directory') {
  my $archive = "$folder/dump.$format";
  $node->command_ok([ 'pg_dump', '-U', 'regress_dumper', "--format=$format", '-Z0', '-f', $archive, 'postgres' ], "an archive ($format)");
  my @parts = $format eq 'custom' ? $archive : glob("$archive/*");
  is(scalar(grep { read_file($_) =~ $plaintext } @parts), 0, "an archive ($format) holds no plaintext");
  $node->admin("CREATE DATABASE as_$format");
  $node->command_ok([ 'pg_restore', '--exit-on-error', '-d', "as_$format", $archive ], 'is restored');
  restored("as_$format");
}
readable('as_custom');
is($node->admin(q{SELECT redoubt.set_limit('regress_agent', NULL, 'masked', 5, '1 hour')}, database => 'as_custom'), '4', 'new limits are numbered after the restored ones');
is($node->verdict, 't', 'the audit trail verifies');
is($node->admin('SELECT count(*) FROM redoubt.audit WHERE database = $$as_text$$ AND event = $$policy$$ AND detail LIKE $$%redoubt.limit_rule$$') > 0, 1, 'a restore of limits is on record');

# The restored keys open the tokens after a restart as well, and the dump of a restored database is the same dump.
$node->restart;
readable('as_directory');
is($node->pg_dump(database => 'as_text', options => [ '--data-only', '-t', 'person' ]), $node->pg_dump(options => [ '--data-only', '-t', 'person' ]), 'a dump of the restored database is the same');

# No key is needed, neither to dump nor to restore.
my $with_key = $node->pg_dump;
$node->set_conf("redoubt.kek_file = ''");
$node->restart;
is($node->pg_dump, $with_key, 'without a key: the same dump');
$node->command_ok([ 'pg_dump', '-f', $file, 'postgres' ], 'without a key: a dump');
$node->admin('CREATE DATABASE without_key');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'without_key', '-f', $file ], 'without a key: is restored');
restored('without_key');
$node->set_conf("redoubt.kek_file = '$folder/kek'");
$node->restart;
readable('without_key');
is($node->verdict, 't', 'the audit trail verifies');

done_testing();
