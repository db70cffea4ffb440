# vault.pl - proves that vaulted tokens outlive a crash, a dump and a restore; that a hot standby opens and finds them
# and says clearly that it makes none; that the sweep deletes what has expired, in every database, in
# small batches, on the primary only, and not while it is off; that neither a dump, nor the server log with every nested
# statement, nor the files of the vault hold a plaintext; and that whoever copies the vault is on record.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $explains = -e qx(pg_config --pkglibdir) =~ s/\n//r . '/auto_explain.so';
my $node = RedoubtNode->make('vault', streaming => 1, conf => [
  'redoubt.sweep_interval = 0', 'max_prepared_transactions = 1', "log_min_duration_statement = 0", 'log_parameter_max_length = 0',
  $explains ? ("session_preload_libraries = 'auto_explain'", 'auto_explain.log_min_duration = 0', 'auto_explain.log_nested_statements = on',
    'auto_explain.log_verbose = on') : () ]);

# vaulted DATABASE: the types, a table, and a thousand values in the vault.
sub vaulted {
  my ($database) = @_;
  $node->admin(<<~'SQL', database => $database);
    SELECT redoubt.create_token_type('patient', method => 'vault', mask => 'keep_last(2)');
    SELECT redoubt.create_token_type('visit', method => 'vault', deterministic => false, ttl => '1 hour');
    SELECT redoubt.create_token_type('card', method => 'vault', format => 'digits(16)');
    GRANT EXECUTE ON FUNCTION redoubt.patient(text), redoubt.detokenize(redoubt.patient), redoubt.mask(redoubt.patient), redoubt.visit(text),
      redoubt.detokenize(redoubt.visit), redoubt.card(text), redoubt.detokenize(redoubt.card) TO regress_lead;
    CREATE TABLE journal (id integer PRIMARY KEY, patient redoubt.patient, visit redoubt.visit, card redoubt.card);
    GRANT ALL ON journal TO regress_lead, regress_clerk;
    SQL
  $node->ask('regress_lead', <<~'SQL', database => $database);
    INSERT INTO journal SELECT i, 'patient no ' || 1000 + i % 50, 'visit no ' || 70000 + i, redoubt.tokenize((4000000000000000 + i)::text, 'card')
    FROM generate_series(1, 500) AS i;
    SQL
  return;
}
my $plaintext = qr/patient no 10\d\d|visit no 70\d\d\d|40000000000000\d\d/;
my $rows = 'SELECT * FROM journal ORDER BY id';
my $opened = 'SELECT id, redoubt.detokenize(patient), redoubt.detokenize(visit), redoubt.detokenize(card) FROM journal ORDER BY id';
vaulted('postgres');
my $tokens = $node->admin($rows);
my $values = $node->ask('regress_lead', $opened);
unlike($tokens, $plaintext, 'tokens are tokens');
like($values, qr/^7\|patient no 1007\|visit no 70007\|4000000000000007$/m, 'which open');

# What the server wrote down.
SKIP: {
  skip 'there is no auto_explain', 1 unless $explains;
  like($node->log_text, qr/INSERT INTO redoubt\.vault/, 'the log has the nested statements');
}
unlike($node->log_text, qr/patient no 10\d\d|visit no 70\d\d\d|4000000000000[1-9]/, 'the log holds no plaintext');
$node->admin('CHECKPOINT');
my $file = $node->data_dir . '/' . $node->admin(q{SELECT pg_relation_filepath('redoubt.vault')});
cmp_ok(-s $file, '>', 50_000, 'the vault is on disk');
unlike(read_file($file), $plaintext, 'and holds no plaintext');

# A crash.
$node->ask('regress_lead', q{INSERT INTO journal SELECT 501, 'patient no 1999'::text});
$tokens = $node->admin($rows);
$values = $node->ask('regress_lead', $opened);
$node->stop('immediate');
$node->start;
is($node->ask('regress_lead', $opened), $values, 'after a crash every value opens');
is($node->ask('regress_lead', q{SELECT patient = redoubt.patient('patient no 1999'::text) FROM journal WHERE id = 501}), 't', 'and keeps its token');

# A prepared transaction outlives one, and makes others wait for it.
$node->ask('regress_lead', q{BEGIN; INSERT INTO journal SELECT 502, v FROM unnest(redoubt.tokenize(ARRAY['patient no 1998'], 'redoubt.patient')) AS v; PREPARE TRANSACTION 'regress'});
$node->stop('immediate');
$node->start;
is($node->ask('regress_lead', q{SELECT redoubt.patient_find('patient no 1998') IS NULL}), 't', 'prepared: what is not committed is not found');
$node->fails_with('regress_lead', q{SET lock_timeout = '200ms'; SELECT redoubt.tokenize(ARRAY['patient no 1998'], 'redoubt.patient')}, '55P03', qr/lock timeout/, 'prepared: who tokenizes the same waits');
$node->admin(q{COMMIT PREPARED 'regress'});
is($node->ask('regress_lead', q{SELECT redoubt.detokenize(redoubt.tokenize(ARRAY['patient no 1998'], 'redoubt.patient'), 'redoubt.patient') = ARRAY['patient no 1998'] AND
  (SELECT redoubt.detokenize(patient) FROM journal WHERE id = 502) = 'patient no 1998'}), 't', 'prepared: and has its token then');
$node->admin(q{SELECT redoubt.forget(patient) FROM journal WHERE id = 502; DELETE FROM journal WHERE id = 502});

# A standby.
$node->backup('base');
my $standby = RedoubtNode->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'redoubt.sweep_interval = 1');
$standby->start;
$node->wait_for_catchup($standby);
is($standby->ask('regress_lead', $opened), $values, 'standby: every value opens');
is($standby->ask('regress_lead', q{SELECT id FROM journal WHERE patient = redoubt.patient_find('patient no 1999')}), '501', 'standby: a value is found');
is($standby->ask('regress_lead', q{SELECT id FROM journal WHERE patient = redoubt.patient('patient no 1999'::text)}), '501', 'standby: a token that exists is had');
is($standby->ask('regress_lead', q{SELECT redoubt.patient_find('nobody') IS NULL}), 't', 'standby: one that does not is not');
is($standby->ask('regress_lead', q{SET redoubt.reveal = 'auto'; SELECT patient FROM journal WHERE id = 501}), 'patient no 1999', 'standby: output reveals');
my $made = $standby->fails_with('regress_lead', q{SELECT redoubt.patient('somebody else'::text)}, '25006',
  qr/cannot change the vault.*HINT:  Tokens are made and forgotten on the primary/s, 'standby: none is made, and the hint says where');
unlike($made, qr/log\b.*somebody/, 'standby: the message does not quote the value');
$standby->fails_with('regress_lead', q{SELECT redoubt.tokenize('x', 'redoubt.visit')}, '25006', qr/cannot change the vault/, 'standby: nor one per call');
$standby->fails_with('', q{SELECT redoubt.forget(patient) FROM journal WHERE id = 501}, '25006', qr/cannot change the vault/, 'standby: nothing is forgotten');
$standby->fails_with('', q{SELECT redoubt.disable_tokens('redoubt.patient')}, '25006', qr/read-only/, 'standby: nor disabled');
$standby->fails_with('', q{SELECT redoubt.sweep_vault()}, '25006', qr/read-only/, 'standby: nor swept');
is($standby->admin(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'redoubt sweep%'}), '0', 'standby: nothing sweeps');
is($node->admin(q{SELECT redoubt.forget(patient) FROM journal WHERE id = 501}), 't', 'forgotten on the primary');
$node->wait_for_catchup($standby);
$standby->fails_with('regress_lead', 'SELECT redoubt.detokenize(patient) FROM journal WHERE id = 501', 'P0002', qr/is not in the vault/, 'is forgotten on the standby');
$node->admin('DELETE FROM journal WHERE id = 501');

# Dump and restore.
$tokens = $node->admin($rows);
$values = $node->ask('regress_lead', $opened);
my $mark = $node->admin('SELECT max(sequence) FROM redoubt.audit');
my $dump = $node->pg_dump;
like($dump, qr/^COPY redoubt\.vault .*^[0-9a-f-]{36}\t/ms, 'a dump has the vault');
unlike($dump, $plaintext, 'and no plaintext');
is($node->admin(qq{SELECT event, operation, session_user_name = current_user FROM redoubt.audit WHERE sequence > $mark AND detail = 'table redoubt.vault'}),
  'vault|read|t', 'and is on record');
my $saved = $node->basedir . '/dump.sql';
for my $how ([], ['--inserts']) {
  my $database = 'restored' . scalar(@$how);
  $node->command_ok([ 'pg_dump', @$how, '-f', $saved, 'postgres' ], "a dump @$how");
  $node->admin("CREATE DATABASE $database");
  $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-f', $saved ], 'is restored');
  is($node->admin($rows, database => $database), $tokens, "$database: same tokens");
  is($node->ask('regress_lead', $opened, database => $database), $values, "$database: same values");
  is($node->ask('regress_lead', q{SELECT count(*) FROM journal WHERE patient = redoubt.patient('patient no 1007'::text)}, database => $database), '10', "$database: same tokens for the same values");
  is($node->ask('regress_lead', q{SELECT redoubt.detokenize(redoubt.tokenize('4999999999999999', 'redoubt.card'), 'redoubt.card')}, database => $database), '4999999999999999', "$database: and new ones");
  $node->fails_with('regress_clerk', 'SELECT redoubt.detokenize(patient) FROM journal', '42501', qr/permission denied/, "$database: for those who may", database => $database);
}
is($node->admin(q{SELECT count(*) > 0 FROM redoubt.audit WHERE database = 'restored0' AND event = 'policy' AND operation = 'insert' AND detail = 'table redoubt.vault'}), 't', 'a restore is on record');

# The sweep: in each database, in batches, and only once it is on.
$node->admin('CREATE DATABASE other');
$node->admin('CREATE DATABASE bare');
$node->admin('CREATE DATABASE half');
$node->admin(q{UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'});
$node->admin('CREATE EXTENSION redoubt', database => 'other');
vaulted('other');
my $expired = 'SELECT count(*) FROM redoubt.vault WHERE expires_at <= now()';
$node->ask('regress_lead', q{SELECT count(redoubt.visit('visit no ' || 80000 + i)) FROM generate_series(1, 2000) AS i}, database => 'other');
$node->admin(q{UPDATE redoubt.vault SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL}, database => $_) for 'postgres', 'other';
is($node->admin($expired, database => $_), $_ eq 'other' ? '2500' : '500', "$_: expired") for 'postgres', 'other';
$node->fails_with('regress_lead', 'SELECT redoubt.detokenize(visit) FROM journal', 'P0002', qr/has expired/, 'they do not open, though they are there');
$mark = $node->admin('SELECT max(sequence) FROM redoubt.audit');
$node->admin("ALTER DATABASE other SET $_") for 'default_transaction_read_only = on', 'default_transaction_isolation = serializable';
$node->set_conf('redoubt.sweep_interval = 1');
$node->reload;
$node->poll_query_until($_, "SELECT ($expired) = 0") or die "$_ is not swept" for 'postgres', 'other';
is($node->admin('SELECT count(*) FROM redoubt.vault', database => $_), '550', "$_: the others are there") for 'postgres', 'other';
is($node->admin(qq{SELECT database, string_agg(count::text, ' ' ORDER BY sequence) FROM redoubt.audit WHERE sequence > $mark AND event = 'vault' AND operation = 'sweep' GROUP BY 1 ORDER BY 1}),
  "other|1000 1000 500\npostgres|500", 'the sweeps are on record, batch by batch');
$node->fails_with('regress_lead', 'SELECT redoubt.detokenize(visit) FROM journal', 'P0002', qr/is not in the vault/, 'now they are not');
is($node->admin(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'redoubt sweep launcher'}), '1', 'there is one launcher');
is($node->ask('regress_lead', 'SELECT count(redoubt.detokenize(patient)) FROM journal'), '500', 'what has no end stays');
$node->wait_for_catchup($standby);
is($standby->admin('SELECT count(*) FROM redoubt.vault'), '550', 'standby: swept along');
unlike($node->log_text, qr/(?:PANIC|FATAL|TRAP).*sweep|database \S+ is being accessed|database "half"/, 'and nothing went wrong');
$node->admin('DROP DATABASE other');

# Parameters without a type, as drivers send them: made and found when the statement runs, by custom and generic plans.
my $script = $node->basedir . '/untyped.sql';
write_file($script, "INSERT INTO journal (id, patient, card) SELECT coalesce(max(id), 0) + 1, :patient, :card FROM journal;\n"
  . "UPDATE journal SET visit = :visit WHERE patient = :patient AND card = :card;\nSELECT 1 / count(*) FROM journal WHERE patient = :patient;\n");
for my $mode ('extended', 'prepared') {
  local $ENV{PGOPTIONS} = '-c redoubt.input=plain';
  my ($out, $err) = run_command([ 'pgbench', '-n', '-t', '8', '-M', $mode, '-f', $script, '-U', 'regress_lead', '-D', "patient=patient no 1088 $mode",
    '-D', 'visit=visit no 70888', '-D', 'card=4000000000000099', $node->connstr('postgres') ]);
  like($out, qr{number of transactions actually processed: 8/8}, "$mode: parameters without a type") or diag($err);
  is($node->ask('regress_lead', "SELECT count(*), count(DISTINCT patient), count(redoubt.detokenize(visit)) FROM journal WHERE redoubt.detokenize(patient) LIKE 'patient no 10__ $mode'"),
    '8|1|8', "$mode: one token for each value");
}
# A prepared statement with a literal is parsed again when its table has changed.
$node->admin('CREATE TABLE note (id integer, patient redoubt.patient); ALTER TABLE note OWNER TO regress_lead');
write_file($script, "INSERT INTO note SELECT count(*), 'patient no 1088 literal' FROM note WHERE patient = 'patient no 1088 literal';\nALTER TABLE note ALTER id SET STATISTICS 5;\n");
my ($out, $err) = run_command([ 'pgbench', '-n', '-t', '4', '-M', 'prepared', '-f', $script, '-U', 'regress_lead', $node->connstr('postgres') ]);
like($out, qr{number of transactions actually processed: 4/4}, 'a literal in a prepared statement whose table changes') or diag($err);
is($node->ask('regress_lead', q{SELECT string_agg(id::text, ' ' ORDER BY id), count(DISTINCT redoubt.detokenize(patient)) FROM note}), '0 1 2 3|1', 'which writes and finds the value');
like($node->log_text, qr/\(a value\)/, 'the log has their plans') if $explains;
unlike($node->log_text =~ s/Query Text: .*?\n|(?:execute|statement|parse|bind)[^\n]*: INSERT INTO note .*?\n//gr, qr/no 1088|visit no 70888|4000000000000099/, 'and no value of them');
$node->wait_for_catchup($standby);

# A standby that is promoted makes tokens and sweeps.
$node->stop;
$standby->promote;
is($standby->ask('regress_lead', q{SELECT redoubt.detokenize(redoubt.patient('somebody else'::text))}), 'somebody else', 'promoted: it makes tokens');
$standby->ask('regress_lead', q{SELECT redoubt.visit('visit no 1'::text)});
$standby->admin(q{UPDATE redoubt.vault SET expires_at = now() WHERE expires_at IS NOT NULL});
$standby->poll_query_until('postgres', "SELECT ($expired) = 0") or die 'not swept';
is($standby->verdict, 't', 'promoted: its audit trail verifies');

done_testing();
