# replication.pl - proves that replicas hold the same tokens and reveal by the same
# rules: a streaming standby finds tokens by plaintext, reveals to whom it is
# granted, within limits, and writes an audit trail of its own; logical decoding
# and a logical subscriber, initial copy included, see tokens only, also through a
# role that would see plaintext in a query; that a subscriber which is given keys and vault opens what it gets; and that the
# key-encryption key is changed on the standby first.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode;
use Test::More;

my $primary = RedoubtNode->make('primary', streaming => 'logical');
$primary->admin(<<~'SQL');
  ALTER TABLE person REPLICA IDENTITY USING INDEX person_pkey;
  CREATE ROLE regress_repl LOGIN REPLICATION;
  GRANT SELECT ON person TO regress_repl;
  GRANT regress_lead TO regress_repl;
  ALTER ROLE regress_repl SET redoubt.reveal = 'plain';
  SELECT redoubt.set_limit('regress_agent', 'redoubt.email_token', 'masked', 7, '1 day');
  SQL
my $rows = 'SELECT * FROM person ORDER BY id';
my $tokens = $primary->admin($rows);
like($primary->ask('regress_repl', $rows), qr/person1\@example/, 'the replication role sees plaintext in a query');

# A streaming standby.
$primary->backup('base');
my $standby = RedoubtNode->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is($standby->admin($rows), $tokens, 'standby: same tokens');
my $found = q{SELECT redoubt.detokenize(email) FROM person WHERE email = 'person2@EXAMPLE.COM'};
is($standby->ask('regress_lead', $found), 'person2@example.com', 'standby: a plaintext literal finds its row, and the role may reveal it');
is($standby->ask('regress_lead', q{SET redoubt.reveal = 'auto'; SELECT phone FROM person WHERE id = 3}), '+12025550103', 'standby: output reveals');
$standby->fails_with('regress_clerk', $found, '42501', qr/permission denied/, 'standby: tokenizing is denied as on the primary');
$standby->fails_with('regress_clerk', 'SELECT redoubt.detokenize(email) FROM person', '42501', qr/permission denied/, 'standby: so is revealing');
$standby->fails_with('regress_lead', q{INSERT INTO person VALUES (9, 'x@example.com')}, '25006', qr/read-only/, 'standby: it is one');
is($standby->ask('regress_agent', 'SELECT count(redoubt.mask(email)) FROM person'), '5', 'standby: within the limit');
$standby->fails_with('regress_agent', 'SELECT redoubt.mask(email) FROM person', '53400', qr/limit on masked/, 'standby: not beyond it');

# Its audit trail.
is($standby->verdict, 't', 'standby: its audit trail verifies');
my $own = q{SELECT count(*) FROM redoubt.audit WHERE event = 'block' AND session_user_name = 'regress_agent'};
is($standby->admin($own), '1', 'standby: its audit trail has its events');
is($primary->admin($own), '0', 'which that of the primary has not');
is($primary->verdict, 't', 'primary: its audit trail verifies');
is($standby->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'denial' AND session_user_name = 'regress_clerk' AND outcome = 'denied'}), '2', 'standby: denials are recorded');

# What changes on the primary holds on the standby.
$primary->admin(q{
  REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.phone_token) FROM regress_lead;
  GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO regress_clerk;
  SELECT redoubt.rotate_key('default');
  SELECT redoubt.drop_limit('regress_agent', 'redoubt.email_token', 'masked')});
$primary->ask('regress_lead', q{INSERT INTO person VALUES (6, 'person6@example.com')});
$primary->wait_for_catchup($standby);
$standby->fails_with('regress_lead', 'SELECT redoubt.detokenize(phone) FROM person', '42501', qr/permission denied/, 'standby: a revoked privilege is gone');
is($standby->ask('regress_clerk', 'SELECT count(redoubt.mask(email)) FROM person'), '6', 'standby: a granted one is there');
is($standby->ask('regress_agent', 'SELECT count(redoubt.mask(email)) FROM person'), '6', 'standby: a dropped limit is gone');
is($standby->ask('regress_lead', q{SELECT redoubt.detokenize(email) FROM person WHERE email = 'person6@example.com'}),
  'person6@example.com', 'standby: a new key version opens, old values are found');
is($standby->ask('regress_lead', $found), 'person2@example.com', 'standby: values of the old version too');

# Logical decoding in SQL.
SKIP: {
  skip 'there is no test_decoding', 1
    unless -e $primary->config_data('--pkglibdir') . '/test_decoding.so';
  $primary->admin(q{SELECT pg_create_logical_replication_slot('decoding', 'test_decoding')});
  $primary->ask('regress_lead', q{UPDATE person SET phone = '+12025550199' WHERE email = 'person6@example.com'});
  my $changes = $primary->ask('regress_repl', q{SELECT data FROM pg_logical_slot_get_changes('decoding', NULL, NULL)});
  like($changes, qr/table public\.person: UPDATE:.*email\[email_token\]:'tok_/, 'logical decoding gives tokens');
  unlike($changes, qr/example\.com|202555/, 'and no plaintext');
}

# Logical replication.
my $subscriber = RedoubtNode->make('subscriber', streaming => 'logical', people => 0);
$subscriber->people;
$subscriber->admin('TRUNCATE person');
my $publisher = $primary->connstr . ' dbname=postgres user=regress_repl application_name=sub';
$primary->admin('CREATE PUBLICATION pub FOR TABLE person');
$subscriber->admin("CREATE SUBSCRIPTION sub CONNECTION '$publisher' PUBLICATION pub");
$subscriber->wait_for_subscription_sync($primary, 'sub');
$tokens = $primary->admin($rows);
is($subscriber->admin($rows), $tokens, 'subscriber: the initial copy has the same tokens');
$primary->ask('regress_lead', <<~'SQL');
  INSERT INTO person VALUES (7, 'person7@example.com', '+12025550107');
  UPDATE person SET email = 'other2@example.com' WHERE email = 'person2@example.com';
  DELETE FROM person WHERE email = 'person3@example.com';
  SQL
$primary->wait_for_catchup('sub');
$tokens = $primary->admin($rows);
is($subscriber->admin($rows), $tokens, 'subscriber: changes have the same tokens');
$subscriber->admin('ALTER SUBSCRIPTION sub SET (binary = true)');
$primary->ask('regress_lead', q{INSERT INTO person VALUES (8, 'person8@example.com', '+12025550108')});
$primary->wait_for_catchup('sub');
$tokens = $primary->admin($rows);
is($subscriber->admin($rows), $tokens, 'subscriber: changes sent in binary too');
unlike($tokens, qr/example|202555/, 'which are tokens');
is($primary->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal' AND session_user_name = 'regress_repl' AND application_name IN ('sub', 'standby')}),
  '0', 'no replica has been revealed anything');

# The subscriber has another key, which does not open them.
$subscriber->fails_with('regress_lead', 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1', 'XX001', qr/token/, 'subscriber: its own key opens none of them');
is($subscriber->verdict, 't', 'subscriber: its audit trail verifies');

# Given the keys, it does.
my $keys = $primary->pg_dump(options => [ '--data-only', '-t', 'redoubt.key' ]);
$subscriber->stop;
$subscriber->set_conf("redoubt.kek_file = '" . $primary->basedir . "/kek'");
$subscriber->start;
$subscriber->admin("DELETE FROM redoubt.key; $keys");
is($subscriber->ask('regress_lead', q{SELECT redoubt.detokenize(email) FROM person WHERE email = 'person7@example.com'}),
  'person7@example.com', 'subscriber: with the keys of the publisher it reveals');

# Vaulted tokens: given the type's class and the rows of the vault, too.
my $vaulted = q{SELECT redoubt.create_token_type('patient', method => 'vault');
  GRANT EXECUTE ON FUNCTION redoubt.patient(text), redoubt.detokenize(redoubt.patient) TO regress_lead;
  CREATE TABLE chart (id integer PRIMARY KEY, patient redoubt.patient); GRANT ALL ON chart TO regress_lead};
$_->admin($vaulted) for $primary, $subscriber;
my $class = q{SELECT class_id FROM redoubt.token_type WHERE typ = 'redoubt.patient'::regtype};
$subscriber->admin(q{UPDATE redoubt.token_type SET class_id = '} . $primary->admin($class) . q{' WHERE typ = 'redoubt.patient'::regtype});
$primary->ask('regress_lead', q{INSERT INTO chart VALUES (1, redoubt.tokenize('Mary Smith', 'redoubt.patient')), (2, redoubt.tokenize('John Smith', 'redoubt.patient'))});
$primary->admin('ALTER PUBLICATION pub ADD TABLE chart, redoubt.vault; GRANT SELECT ON redoubt.vault, chart TO regress_repl; GRANT USAGE ON SCHEMA redoubt TO regress_repl');
$subscriber->admin('ALTER SUBSCRIPTION sub REFRESH PUBLICATION');
$subscriber->wait_for_subscription_sync($primary, 'sub');
my $patients = 'SELECT redoubt.detokenize(patient) FROM chart ORDER BY id';
is($subscriber->ask('regress_lead', $patients), "Mary Smith\nJohn Smith", 'subscriber: with the rows of the vault it opens vaulted tokens');
is($subscriber->ask('regress_lead', q{SELECT id FROM chart WHERE patient = redoubt.patient_find('Mary Smith')}), '1', 'subscriber: and finds them');
$primary->admin('SELECT redoubt.forget(patient) FROM chart WHERE id = 1');
$primary->wait_for_catchup('sub');
$subscriber->fails_with('regress_lead', $patients, 'P0002', qr/is not in the vault/, 'subscriber: what the publisher forgot is forgotten there');
is($primary->admin(q{SELECT operation FROM redoubt.audit WHERE event = 'policy' AND operation = 'publish'}), 'publish', 'that the vault is published is on record');

# A change of the key-encryption key: the standby first.
$primary->wait_for_catchup($standby);
my $new_kek = $primary->new_kek('kek_new');
for my $node ($standby, $primary) {
  $node->set_conf("redoubt.kek_file = '$new_kek'", "redoubt.previous_kek_file = '" . $primary->basedir . "/kek'");
  $node->restart;
  is($node->ask('regress_lead', $found =~ s/person2\@EXAMPLE.COM/person7\@example.com/r), 'person7@example.com', $node->name . ': with both it reveals');
}
$standby->fails_with('', 'SELECT redoubt.rewrap_keys()', '25006', qr/during recovery|read-only/, 'standby: keys are wrapped anew on the primary');
is($primary->admin('SELECT redoubt.rewrap_keys()'), '2', 'primary: two keys are wrapped anew');
$primary->wait_for_catchup($standby);
is($standby->admin('SELECT count(DISTINCT kek_fingerprint) FROM redoubt.key'), '1', 'standby: there, too');
for my $node ($standby, $primary) {
  $node->set_conf("redoubt.previous_kek_file = ''");
  $node->restart;
  is($node->ask('regress_lead', q{SELECT redoubt.detokenize(patient) FROM chart WHERE id = 2}), 'John Smith', $node->name . ': with the new one alone it reveals');
}

# A standby that is promoted goes on.  Its older segments need the older key.
$standby->set_conf("redoubt.previous_kek_file = '" . $primary->basedir . "/kek'");
$standby->restart;
$standby->promote;
$standby->ask('regress_lead', q{INSERT INTO person VALUES (10, 'person10@example.com')});
is($standby->ask('regress_lead', q{SELECT redoubt.detokenize(email) FROM person WHERE email = 'person10@example.com'}), 'person10@example.com', 'promoted: it tokenizes and reveals');
is($standby->verdict, 't', 'promoted: its audit trail verifies');

done_testing();
