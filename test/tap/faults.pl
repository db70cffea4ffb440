# faults.pl - no exception of C++ crosses PostgreSQL: one is thrown in every function that PostgreSQL is given a pointer
# to, in a library built for that (test/faults), and each ends as the error that it is, with the server up, the session
# usable and the next statement charged and answered as ever.
#
# Which functions there are is read out of the source: one without a way to reach it here fails the test.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode;
use Test::More;

my $root = abs_path("$FindBin::RealBin/../..");
system('make', '-s', '-j2', '-C', $root, "PG_CONFIG=" . ($ENV{PG_CONFIG} // 'pg_config'), 'faulty/redoubt.so') == 0 or die 'the library cannot be built';

# In the session: function => the statement in which it is called.
my %statement = (
  redoubt_planner => 'SELECT 1',
  redoubt_ExecutorCheckPerms => 'SELECT 1',
  redoubt_needs_fmgr_hook => 'SELECT fault_fired()',
  redoubt_fmgr => 'SELECT careful()',
  redoubt_object_access => 'SELECT random()',
  redoubt_ExecutorStart => 'SELECT 1',
  redoubt_ExecutorRun => 'SELECT 1',
  redoubt_ExecutorFinish => 'SELECT 1',
  redoubt_ExecutorEnd => 'SELECT 1',
  redoubt_ProcessUtility => 'CREATE TEMP TABLE t ()',
  redoubt_ExplainOneQuery => 'EXPLAIN SELECT 1',
  redoubt_relation_info => 'SELECT count(*) FROM person',
  redoubt_rel_pathlist => 'SELECT count(*) FROM person',
  redoubt_relation_stats => 'SELECT count(*) FROM person WHERE id > 3',
  redoubt_index_stats => q{SELECT count(*) FROM person WHERE lower(id::text) > '3'},
  inlined_asked => 'SELECT twice(id) FROM person',
  redoubt_relabel => q{SECURITY LABEL FOR redoubt ON COLUMN plain.mail IS 'redoubt.email_token'},
  read_meter_receive => 'SELECT email, phone FROM person',
  read_meter_receive_plain => 'SELECT email FROM person',
  read_meter_receive_opened => 'SELECT upper(p.email) FROM person AS q LEFT JOIN person AS p ON p.id = -q.id',
  read_meter_startup => 'SELECT email FROM person',
  read_meter_shutdown => 'SELECT email FROM person',
  conflict_meter_next_row => 'INSERT INTO person SELECT * FROM person ON CONFLICT DO NOTHING',
  redoubt_check_node_identities => q{ALTER SYSTEM SET redoubt.node_identities = 'peer:other'},
  redoubt_check_reveal => q{SET redoubt.reveal = 'masked'},
  redoubt_check_synchronize_seqscans => 'SET synchronize_seqscans = on',
  token_order_sort => 'CREATE INDEX ON person ((email::text))',
  redoubt_transaction_ends => 'SELECT 1',
  (map { $_ => 'SELECT count(*) FROM redoubt.audit' } map { "audit_table_$_" } qw(size paths plan begin next end)),
  audit_table_again => 'SELECT (SELECT count(*) FROM redoubt.audit WHERE sequence > p.id) FROM person AS p',
);
# The same where nothing may fail: a warning.
my %warning = (
  redoubt_assign_input => q{SET redoubt.input = 'token'},
  redoubt_assign_reveal => q{SET redoubt.reveal = 'token'},
  redoubt_assign_token_order => 'SET redoubt.token_order = on',
  redoubt_transaction_is_over => 'SELECT 1',
  redoubt_emit_log => q{DO $$ BEGIN RAISE LOG 'for the log'; END $$},
  redoubt_emit_parser_error => q{DO $$ BEGIN RAISE LOG 'for the log'; END $$},
  redoubt_subtransaction_ends => 'DO $$ BEGIN BEGIN RAISE division_by_zero; EXCEPTION WHEN OTHERS THEN NULL; END; END $$',
  plan_facts_forget => 'SELECT 2',
  plaintext_room_freed => q{SET SESSION AUTHORIZATION regress_lead; SELECT redoubt.vault_token(ARRAY['a'], 'redoubt.once'); RESET SESSION AUTHORIZATION},
  query_meter_forget => 'SELECT email FROM person',
  meter_function_forget => 'SELECT string_agg(redoubt.token(email), NULL) FROM person',
  limit_statement_portal_ends => 'SELECT email FROM person',
);
# The same where a backend that did not hear it must not go on.
my %fatal = (
  redoubt_relation_changed => 'CREATE TEMP TABLE t (); DROP TABLE t',
  redoubt_catalog_changed => 'CREATE TEMP TABLE t (); DROP TABLE t',
);
# At the end of a session.
my %exit = (keys_wipe => 1, redoubt_limits_backend_ends => 1, flush_at_exit => 1);
# In the postmaster and in workers, by the environment: at the start, at the stop, in a worker.
my %start = (redoubt_load => 1, redoubt_shmem_request => 1, redoubt_shmem_startup => 1);
my %stop = (log_last_head => 1, redoubt_limits_server_ends => 1);
my %worker = (redoubt_worker_main_body => 1, redoubt_audit_main_body => 1, redoubt_sweep_launcher_main_body => 1, redoubt_sweep_main_body => 1, redoubt_lease_main_body => 1);
# DestReceivers of a portal are destroyed by their owner, and Redoubt's stands before them during a run alone; a session
# is authenticated before a fault can be ordered in it.
my %never = (read_meter_destroy => 1, node_session_authenticated => 1);

# From PostgreSQL 18 on there is another hook for EXPLAIN.
my ($version) = (run_command([ 'pg_config', '--version' ]))[0] =~ /(\d+)/;
my ($explains, $unused) = qw(redoubt_ExplainOneQuery redoubt_explain_per_plan);
($explains, $unused) = ($unused, $explains) if $version >= 18;
$statement{$explains} = delete $statement{redoubt_ExplainOneQuery};

my %reached = map { $_ => 1 } map { keys %$_ } \%statement, \%warning, \%fatal, \%exit, \%start, \%stop, \%worker, \%never;
my %given;
for my $file (glob "$root/src/pg/*/*.cpp") {
  my $text = slurp_file($file);
  $text =~ s{//.*}{}g;
  $given{$1} = 1 while $text =~ /\bshielded<(\w+)[,>]/g;
  $given{"$1_body"} = 1 while $text =~ /^REDOUBT_WORKER\((\w+)\)/mg;
}
delete $given{$unused};
is_deeply([ sort keys %given ], [ sort keys %reached ], 'what PostgreSQL is given a pointer to is what is tried here');

# PostgreSQL looks for its folders from where its program is: a copy of the programs, with the libraries and the shared
# files of the installation linked beside them, has that library for Redoubt's.
my %at = map { my ($folder) = run_command([ 'pg_config', "--$_" ]); ($_ => $folder) } qw(bindir pkglibdir sharedir);
my $place = PostgreSQL::Test::Utils::tempdir_short();
make_path("$place$at{bindir}", "$place$at{pkglibdir}", dirname("$place$at{sharedir}"));
system('cp', '-L', glob("$at{bindir}/*"), "$place$at{bindir}") == 0 or die 'the programs cannot be copied';
symlink $_, "$place$at{pkglibdir}/" . basename($_) for grep { !m{/redoubt\.so$} } glob "$at{pkglibdir}/*";
symlink "$root/faulty/redoubt.so", "$place$at{pkglibdir}/redoubt.so" or die "symlink: $!";
symlink $at{sharedir}, "$place$at{sharedir}" or die "symlink: $!";

my $node = RedoubtNode->make('faults', install => dirname("$place$at{bindir}"), conf => [ 'redoubt.sweep_interval = 1', 'log_min_messages = warning' ]);
$node->admin(<<~'SQL');
  SELECT redoubt.create_token_type('once', method => 'vault');
  GRANT EXECUTE ON FUNCTION redoubt.once(text) TO regress_lead;
  CREATE TABLE plain (mail text);
  CREATE INDEX ON person (lower(id::text));
  ANALYZE person;
  SELECT redoubt.set_limit(NULL, 'redoubt.email_token', 'read', 1000000, 'statement');
  CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN 2 * $1;
  CREATE FUNCTION careful() RETURNS integer LANGUAGE plpgsql SET work_mem = '1MB' AS 'BEGIN RETURN 1; END';
  CREATE FUNCTION fault(text, text) RETURNS void LANGUAGE c AS '$libdir/redoubt', 'redoubt_fault';
  CREATE FUNCTION fault_fired() RETURNS boolean LANGUAGE c AS '$libdir/redoubt', 'redoubt_fault_fired';
  SQL

my %state = (bad_alloc => '53200', failure => 'XX001', other => 'XX000');
my %said = (bad_alloc => 'out of memory', failure => 'a fault to order', other => 'unrecognized C\+\+ exception');

# provoke NAME, KIND, SQL: orders the fault and runs SQL, and says whether it came, and what a reader then gets.
sub provoke {
  my ($name, $kind, $sql) = @_;
  my ($out, $err) = ('', '');
  $node->psql('postgres', <<~"SQL", stdout => \$out, stderr => \$err, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    SET client_min_messages = warning;
    SELECT fault('$name', '$kind');
    $sql;
    SELECT 'fired ' || fault_fired();
    SELECT 'rows ' || count(*) FROM (SELECT email FROM person) p;
    $sql;
    SQL
  return ($out, $err);
}

for my $name (sort keys %statement) {
  for my $kind (qw(bad_alloc failure other)) {
    my ($out, $err) = provoke($name, $kind, $statement{$name});
    my @errors = $err =~ /^(?:psql:\S+ )?(?:ERROR|FATAL|PANIC): .*/mg;
    ok(@errors == 1 && $errors[0] =~ /ERROR:  $state{$kind}: $said{$kind}/, "$name: $kind is an error")
      or diag $err;
    ok($out =~ /fired true.*rows 5/s, "$name: $kind was thrown, and the session goes on") or diag $err;
  }
}
for my $name (sort keys %warning) {
  for my $kind (qw(bad_alloc failure other)) {
    my $log = $node->log_size;
    my ($out, $err) = provoke($name, $kind, $warning{$name});
    unlike($err, qr/ERROR|FATAL/, "$name: $kind is no error");
    # Of a statement that holds plaintext the log keeps no warning, but says so.
    ok($node->log_text($log) =~ /WARNING:  $said{$kind}|message of SQLSTATE $state{$kind} withheld/, "$name: $kind is a warning");
    ok($out =~ /fired true.*rows 5/s, "$name: $kind was thrown, and the session goes on") or diag $err;
  }
}
for my $name (sort keys %fatal) {
  my ($out, $err) = provoke($name, 'bad_alloc', $fatal{$name});
  like($err, qr/FATAL:  53200: out of memory/, "$name: ends the session");
  is($node->admin('SELECT 1'), '1', "$name: and no other");
}
for my $name (sort keys %exit) {
  my $log = $node->log_size;
  $node->ask('regress_lead', <<~"SQL");
    SELECT redoubt.detokenize(email) FROM person;
    DO \$\$ BEGIN FOR i IN 1..2 LOOP BEGIN PERFORM 'x'::redoubt.text_token; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$;
    SELECT fault('$name', 'bad_alloc')
    SQL
  ok($node->wait_for_log(qr/WARNING:  out of memory/, $log), "$name: a warning in the log");
  is($node->admin('SELECT 1'), '1', "$name: the server goes on");
}

for my $name (sort keys %worker) {
  my $log = $node->log_size;
  local $ENV{REDOUBT_FAULT} = "$name bad_alloc";
  my $borrows = $name eq 'redoubt_lease_main_body';
  $node->set_conf("redoubt.budget_server = '" . ($borrows ? 'host=/nowhere' : '') . q{'});
  $node->restart;
  ok($node->wait_for_log(qr/ERROR:  out of memory/, $log), "$name: the worker ends with an error");
  is($node->admin('SELECT 1'), '1', "$name: the server goes on");
}
$node->set_conf(q{redoubt.budget_server = ''});
for my $name (sort keys %stop) {
  my $log = $node->log_size;
  local $ENV{REDOUBT_FAULT} = "$name failure";
  $node->restart;
  $node->stop;
  like($node->log_text($log), qr/WARNING:  a fault to order.*database system is shut down/s, "$name: a warning, and the server ends in order");
  delete $ENV{REDOUBT_FAULT};
  $node->start;
}
for my $name (sort keys %start) {
  my $log = $node->log_size;
  $node->stop;
  local $ENV{REDOUBT_FAULT} = "$name failure";
  is($node->start(fail_ok => 1), 0, "$name: the server does not start");
  like($node->log_text($log), qr/FATAL:  a fault to order/, "$name: and says why");
  delete $ENV{REDOUBT_FAULT};
  $node->start;
}

# A row of the extension's own that cannot be read.
$node->admin(<<~'SQL');
  SELECT redoubt.create_token_type('card', method => 'fpe', format => 'card', mask => 'keep_last(4)');
  CREATE TABLE pay (id integer, card redoubt.card);
  UPDATE redoubt.token_type SET format = 'nonsense((' WHERE typ = 'redoubt.card'::regtype;
  SQL
for my $sql ('SELECT * FROM pay', 'EXPLAIN SELECT * FROM pay', 'COPY pay TO stdout', 'CREATE TABLE copied AS SELECT * FROM pay', 'ALTER TABLE pay ALTER COLUMN card TYPE text',
  q{SECURITY LABEL FOR redoubt ON COLUMN plain.mail IS 'redoubt.card'}, q{DO $$ BEGIN PERFORM * FROM pay; END $$}, 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM pay') {
  $node->fails_with('', $sql, 'XX001', qr/format of a token type is not readable|policy of token type \S+ is not readable/, "a format that is none: $sql");
}
is($node->admin('SELECT count(*) FROM person'), '5', 'and other tables are read as before');

unlike($node->log_text, qr/terminated by signal|terminate called/, 'no process crashed');
done_testing();
