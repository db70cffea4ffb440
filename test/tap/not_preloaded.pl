# not_preloaded.pl - proves that a server whose shared_preload_libraries lacks
# redoubt keeps tokens usable as tokens and reveals nothing: everything that
# reveals, tokenizes or administers is error 55000 with a hint, also under
# redoubt.reveal, superuser_access and a library loaded by the session.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('not_preloaded');
$node->admin(<<~'SQL');
  SELECT redoubt.create_token_type('public.ticket_token', pattern => '^TM-[0-9]{7}$', "normalize" => 'upper');
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 100, '1 hour');
  GRANT pg_read_all_data TO regress_lead;
  ALTER ROLE regress_lead SET redoubt.reveal = 'plain';
  SQL
my $rows = 'SELECT id, email, phone FROM person ORDER BY id';
my $tokens = $node->admin($rows);
like($node->ask('regress_lead', $rows), qr/person1\@example\.com/, 'preloaded: the role sees plaintext');
my $dump = $node->pg_dump;
my $token = $node->admin('SELECT email FROM person WHERE id = 1');

$node->set_conf("shared_preload_libraries = ''");
$node->restart;

# Tokens.
is($node->ask('regress_lead', $rows), $tokens, 'tokens can be read, and redoubt.reveal on the role reveals nothing');
is($node->ask('regress_lead', 'COPY person TO stdout'), join("\n", map { s/\|/\t/gr } split /\n/, $tokens), 'COPY gives tokens');
is($node->pg_dump, $dump, 'the dump is the same as before');
like($dump, qr/\Q$token\E/, 'and has tokens in it');
is($node->ask('regress_clerk', "SELECT id FROM person WHERE email = '$token'"), '1', 'a token literal finds its row');
is($node->ask('regress_clerk', "SET enable_hashjoin = off; SET enable_nestloop = off;
  SELECT count(*) FROM person a JOIN person b ON a.email = b.email"), '5', 'tokens can be merge-joined');
is($node->ask('regress_clerk', "SET enable_mergejoin = off; SET enable_nestloop = off;
  SELECT count(*) FROM person a JOIN person b ON a.email = b.email"), '5', 'tokens can be hash-joined');
is($node->ask('regress_clerk', 'SELECT count(DISTINCT email) FROM person'), '5', 'tokens can be sorted');
$node->ask('regress_clerk', "UPDATE person SET email = NULL WHERE id = 1; UPDATE person SET email = '$token' WHERE id = 1");
is($node->admin($rows), $tokens, 'tokens can be written');
$node->fails_with('regress_clerk', "INSERT INTO person VALUES (6, '$token')", '23505', qr/person_email_key/, 'a unique index of tokens holds');
$node->admin('CREATE INDEX person_phone ON person (phone); CREATE INDEX person_phone_hash ON person USING hash (phone); REINDEX TABLE person; ANALYZE person');
is($node->admin('SET enable_seqscan = off; SELECT count(*) FROM person a WHERE phone = (SELECT phone FROM person WHERE id = 2)'),
  '1', 'tokens can be indexed');

# What reveals, tokenizes or administers.
my $hint = qr/not preloaded.*HINT:.*shared_preload_libraries/s;
my %refused = (
  'detokenize()' => 'SELECT redoubt.detokenize(email) FROM person',
  'mask()' => 'SELECT redoubt.mask(email) FROM person',
  'a plaintext literal' => q{SELECT * FROM person WHERE email = 'person1@example.com'},
  'an insert of plaintext' => q{INSERT INTO person VALUES (7, 'new@example.com')},
  'the cast function' => q{SELECT redoubt.email_token('new@example.com')},
  'an assignment cast' => q{UPDATE person SET phone = (SELECT '+12025550123'::varchar)},
  'a plaintext of one\'s own type' => q{SELECT 'TM-0000001'::ticket_token},
  'set_limit()' => q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1000, '1 hour')},
  'drop_limit()' => q{SELECT redoubt.drop_limit('regress_lead', 'redoubt.email_token', 'reveal')},
  'reset_usage()' => 'SELECT redoubt.reset_usage()',
  'create_key()' => q{SELECT redoubt.create_key('another')},
  'rotate_key()' => q{SELECT redoubt.rotate_key('default')},
  'the view usage' => 'SELECT * FROM redoubt.usage',
  'the view audit' => 'SELECT * FROM redoubt.audit',
  'verify_audit()' => 'SELECT * FROM redoubt.verify_audit()');
$node->admin('GRANT redoubt_admin, redoubt_auditor TO regress_lead');
for my $what (sort keys %refused) {
  $node->fails_with('regress_lead', $refused{$what}, '55000', $hint, "$what is refused");
}
is($node->admin('SELECT count(*) FROM redoubt.limits'), '1', 'the limits can be read');

# A superuser, and settings that exist in name only.
$node->admin('GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO CURRENT_USER');
for my $trick ('SET redoubt.superuser_access = on', q{SET redoubt.reveal = 'plain'}, q{LOAD 'redoubt'},
  q{LOAD 'redoubt'; SET redoubt.reveal = 'plain'; SET redoubt.superuser_access = on}) {
  $node->fails_with('', "$trick; SELECT redoubt.detokenize(email) FROM person", '55000', $hint, "superuser: $trick does not help");
  is($node->admin("$trick; $rows"), $tokens, "superuser: $trick reveals nothing");
}
$node->set_conf("session_preload_libraries = 'redoubt'", "redoubt.superuser_access = on", "redoubt.reveal = 'plain'");
$node->restart;
is($node->ask('regress_lead', $rows), $tokens, 'session_preload_libraries reveals nothing');
$node->fails_with('regress_lead', 'SELECT redoubt.detokenize(email) FROM person', '55000', $hint, 'and refuses the same');
like($node->admin('SELECT string_agg(value, $$;$$) FROM redoubt.status()'), qr/no: add redoubt to shared_preload_libraries/, 'status() says what is missing');

# Mended.
$node->set_conf("shared_preload_libraries = 'redoubt'", "session_preload_libraries = ''", 'redoubt.superuser_access = off', "redoubt.reveal = 'token'");
$node->restart;
is($node->ask('regress_lead', 'SELECT email FROM person WHERE id = 1'), 'person1@example.com', 'preloaded again: the role sees plaintext');
is($node->verdict, 't', 'and the audit trail verifies');

done_testing();
