# restore.pl - proves that a restore loses nothing in silence: a role that is missing costs its own limit, labels come
# back whether the server is preloaded or not and whatever the order, keys that meet others are merged or refused, and
# check_restore() names all that will not work, with a statement that helps.  The same for pg_upgrade.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $filling = <<~'SQL';
  CREATE ROLE regress_gone;
  CREATE SCHEMA desk;
  GRANT USAGE ON SCHEMA desk TO PUBLIC;
  SELECT redoubt.create_key('desk');
  SELECT redoubt.create_token_type('desk.ticket', pattern => '^TM-[0-9]{7}$', "normalize" => 'upper', key => 'desk');
  SELECT redoubt.create_token_type('desk.serial', method => 'fpe', format => 'SN-(\d{9})', key => 'desk');
  SELECT redoubt.create_token_type('desk.code', method => 'vault', format => 'us_ssn');
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1000, '1 hour');
  SELECT redoubt.set_limit(NULL, 'desk.ticket', 'tokenize', 2000, '1 day');
  SELECT redoubt.set_limit('regress_gone', 'desk.ticket', 'tokenize', 2000, '1 day', burst => 100, shared => true);
  GRANT EXECUTE ON FUNCTION desk.ticket(text), redoubt.detokenize(desk.ticket), desk.serial(text), redoubt.detokenize(desk.serial),
    desk.code(text), redoubt.detokenize(desk.code) TO regress_lead;
  ALTER TABLE person ADD COLUMN ticket desk.ticket, ADD COLUMN serial desk.serial, ADD COLUMN code desk.code;
  CREATE INDEX ON person (ticket);
  CREATE INDEX ON person (lower(email));
  CREATE INDEX person_like ON person USING gin (email);
  CREATE INDEX person_order ON person ((email::text));
  CREATE TABLE legacy (id integer PRIMARY KEY, mail text, "Ticket No" text);
  CREATE DOMAIN address AS text;
  SECURITY LABEL FOR redoubt ON COLUMN legacy.mail IS 'redoubt.email_token';
  SECURITY LABEL FOR redoubt ON COLUMN legacy."Ticket No" IS 'desk.ticket';
  SECURITY LABEL FOR redoubt ON DOMAIN address IS 'redoubt.email_token';
  INSERT INTO legacy SELECT i, 'person' || i || '@example.com', 'TM-000000' || i FROM generate_series(1, 5) AS i;
  CREATE MATERIALIZED VIEW seen AS SELECT id, mail FROM legacy;
  CREATE FUNCTION public.twice(text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'SELECT $1 || $1';
  SECURITY LABEL FOR redoubt ON FUNCTION public.twice(text) IS 'trusted';
  SQL
my $values = <<~'SQL';
  UPDATE person SET ticket = ('TM-000000' || id)::text, serial = desk.serial('SN-00000000' || id), code = desk.code('123-45-678' || id);
  SQL
my $labels = q{SELECT i.type, i.identity, l.label FROM pg_seclabel AS l, pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i WHERE l.provider = 'redoubt' ORDER BY 2};
my $limits = q{SELECT id, role, token_type::regtype, operation, max_values, per, burst, on_excess, shared FROM redoubt.limits ORDER BY id};
my $check = q{SELECT kind, object, problem, statement FROM redoubt.check_restore() ORDER BY 1, 2};
my $read = <<~'SQL';
  SELECT redoubt.detokenize(email), redoubt.detokenize(ticket), redoubt.detokenize(serial), redoubt.detokenize(code)
  FROM person WHERE lower(email) = 'person3@example.com';
  SQL
my $plain = 'person3@example.com|TM-0000003|SN-000000003|123-45-6783';

my $node = RedoubtNode->make('restore');
my $folder = $node->basedir;
$node->admin('GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token) TO regress_lead');
$node->admin($filling);
$node->ask('regress_lead', $values);
my ($all_labels, $all_limits) = ($node->admin($labels), $node->admin($limits));
is(scalar(() = $all_labels =~ /^.+$/mg), 5, 'labels, one that the materialised view has by itself among them') or diag $all_labels;
is($node->admin($check), '', 'nothing is wrong before');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/custom", 'postgres' ], 'a dump (custom)');
$node->command_ok([ 'pg_dump', '-Fd', '-j2', '-f', "$folder/directory", 'postgres' ], 'a dump (directory)');
$node->command_ok([ 'pg_dump', '-f', "$folder/plain", 'postgres' ], 'a dump (plain)');
$node->command_ok([ 'pg_dump', '--inserts', '-f', "$folder/inserts", 'postgres' ], 'a dump (INSERTs)');

# ------------------------------------------------------------------ ways to restore
my $custom = "$folder/custom";
my %way = (
  custom => [ [$custom] ],
  parallel => [ [ '-j2', $custom ] ],
  directory => [ [ '-j2', "$folder/directory" ] ],
  plain => ["$folder/plain"],
  inserts => ["$folder/inserts"],
  clean => [ [$custom], [ '--clean', '--if-exists', $custom ] ],
  sections => [ map { [ "--section=$_", $custom ] } qw(pre-data data post-data) ],
  # What has indexes already needs the keys first.
  parts => [ [ '--schema-only', $custom ], [ '--data-only', '--schema=redoubt', $custom ], [ '--data-only', '--exclude-schema=redoubt', $custom ] ],
  ordered => [ [ '--section=pre-data', $custom ], [ '--data-only', '--schema=redoubt', $custom ],
    [ '-j2', '--section=data', '--exclude-schema=redoubt', $custom ], [ '-j2', '--section=post-data', $custom ] ]);

# restored HOW, SUFFIX, WHAT: a new database, filled that way.  Where nothing holds the keys back from the indexes that need
# them, these may be missing, and nothing else; and without the library they are.
sub restored {
  my ($how, $suffix, $what) = @_;
  my $database = "${how}_$suffix";
  $node->admin("CREATE DATABASE $database");
  for my $step (@{ $way{$how} }) {
    my ($out, $err) = run_command(ref $step ? [ 'pg_restore', '-d', $node->connstr($database), @$step ]
      : [ 'psql', '-Xq', '-d', $node->connstr($database), '-f', $step ]);
    my @errors = $err =~ /ERROR: .*/g;
    push @errors, $err =~ /\APassword|fatal/i;
    my $may = $what eq 'not preloaded' ? qr/redoubt is not preloaded/ : $how =~ /parallel|directory/ ? qr/the token names version 1 of key "default", which does not exist/ : qr/\A\z/;
    is(join("\n", grep { $_ !~ $may } @errors), '', "$what, $how: is restored") or diag $err;
  }
  return $database;
}

sub restore_all {
  my ($suffix, $what) = @_;
  for my $how (sort keys %way) {
    next if $what eq 'not preloaded' && $how eq 'parts';  # rows meet indexes that need the library
    my $database = restored($how, $suffix, $what);
    is($node->admin($labels, database => $database), $all_labels, "$what, $how: labels are restored");
    is($node->admin(q{SELECT count(*) FROM legacy}, database => $database), '5', "$what, $how: and what is labelled");
  }
  return;
}

# all_is_well: once the indexes are made that were held back.
my $made_anew = 0;
sub all_is_well {
  my ($suffix, $what) = @_;
  for my $how (sort keys %way) {
    my $database = "${how}_$suffix";
    next if $what eq 'restored before preloading' && $how eq 'parts';
    my $indexes = $node->admin(q{SELECT string_agg(statement, E'\n') FROM redoubt.check_restore() WHERE kind = 'index'}, database => $database);
    $made_anew += () = $indexes =~ /^CREATE INDEX/mg;
    $node->admin($indexes, database => $database);
    is($node->admin($check, database => $database), '', "$what, $how: nothing is wrong");
    is($node->admin('SELECT count(*) FROM pg_index WHERE indrelid = $$person$$::regclass', database => $database), '6', "$what, $how: same indexes");
    is($node->admin($limits, database => $database), $all_limits, "$what, $how: same limits");
    is($node->ask('regress_lead', $read, database => $database), $plain, "$what, $how: values open");
  }
  return;
}
restore_all('p', 'preloaded');
all_is_well('p', 'preloaded');

# ------------------------------------------------------------------- not preloaded
$node->set_conf("shared_preload_libraries = ''");
$node->restart;
restore_all('n', 'not preloaded');
like($node->admin($check, database => 'custom_n'), qr/^server\|preloaded\|no: /m, 'not preloaded: check_restore says so');
$node->set_conf("shared_preload_libraries = 'redoubt'");
$node->restart;
all_is_well('n', 'restored before preloading');
is($made_anew >= 24, 1, 'indexes of values are missed, and made');
is($node->verdict, 't', 'the audit trail verifies');

# ------------------------------------------------------------- a role that is missing
$node->admin('DROP ROLE regress_gone');
is($node->admin($limits), join("\n", (split /\n/, $all_limits)[ 0, 1 ]), 'DROP ROLE takes its limits along');
unlike($node->pg_dump, qr/regress_gone|tokenize\t2000\t1 day\t100/, 'and no dump has them');
for my $how (qw(custom directory inserts)) {
  my $database = restored($how, 'm', 'a role is missing');
  $node->admin(q{DELETE FROM redoubt.expected WHERE kind = 'index'}, database => $database);
  is($node->admin($limits, database => $database), join("\n", (split /\n/, $all_limits)[ 0, 1 ]), "a role is missing, $how: the other limits are there");
  is($node->admin($check, database => $database),
    q{limit|tokenize of desk.ticket by regress_gone per 86400 s|its role or token type was missing when it was restored|}
    . q{SELECT redoubt.set_limit('regress_gone', 'desk.ticket', 'tokenize', 2000, '1 day', burst => '100', on_excess => 'block', max_delay => '00:00:10', shared => 't');} =~ s/'100'/100/r,
    "a role is missing, $how: check_restore says so");
}
# From another database: the limit stays, in no dump, and the sweep finds it.
$node->admin('CREATE ROLE regress_gone');
my $statement = $node->admin(q{SELECT statement FROM redoubt.check_restore()}, database => 'custom_m');
$node->admin($statement, database => 'custom_m');
is($node->admin($check, database => 'custom_m'), '', 'what it says helps');
is($node->admin(q{SELECT role, max_values, per, burst, shared FROM redoubt.limits WHERE role = 'regress_gone'::regrole}, database => 'custom_m'),
  'regress_gone|2000|1 day|100|t', 'and sets the limit as it was');
$node->admin('DROP ROLE regress_gone');
like($node->admin($check, database => 'custom_m'), qr/\Alimit\|tokenize of desk.ticket by \d+\|its role or token type was dropped\|DELETE FROM redoubt.limit_rule WHERE id = \d+;\z/,
  'a role dropped from another database: check_restore says so');
unlike($node->pg_dump(database => 'custom_m', options => ['--data-only']), qr/desk\.ticket\ttokenize\t2000\t1 day\t100/, 'and a dump has no limit of it');
$node->set_conf('redoubt.sweep_interval = 1');
$node->reload;
ok($node->poll_query_until('custom_m', 'SELECT count(*) = 2 FROM redoubt.limit_rule'), 'the sweep takes it away');
is($node->admin($check, database => 'custom_m'), '', 'and nothing is wrong');
$node->set_conf('redoubt.sweep_interval = 3600');
$node->reload;

# ----------------------------------------------------------------- labels that are lost
my $without = read_file("$folder/plain") =~ s/^SECURITY LABEL .*\n//mgr;
write_file("$folder/unlabelled", $without);
$node->admin('CREATE DATABASE unlabelled');
$node->command_ok([ 'psql', '-Xq', '-d', 'unlabelled', '-f', "$folder/unlabelled" ], 'a restore without labels');
is($node->admin($labels, database => 'unlabelled') =~ s/^materialized.*\n?//mr, '', 'has none');
my $helps = $node->admin(q{SELECT string_agg(statement, E'\n') FROM redoubt.check_restore() WHERE kind = 'label'}, database => 'unlabelled');
is(scalar(() = $helps =~ /^SECURITY LABEL/mg), 5 - ($node->admin($labels, database => 'unlabelled') eq '' ? 0 : 1), 'check_restore has a statement for each') or diag $helps;
$node->admin($helps, database => 'unlabelled');
is($node->admin($labels, database => 'unlabelled'), $all_labels, 'which set them');
is($node->admin(q{SELECT count(*) FROM redoubt.check_restore() WHERE kind = 'label'}, database => 'unlabelled'), '0', 'and nothing is missing');
# A label that is taken off is not missed, neither here nor where a dump was restored whole.
for my $database ('unlabelled', 'custom_p') {
  $node->admin(q{SECURITY LABEL FOR redoubt ON COLUMN legacy."Ticket No" IS NULL}, database => $database);
  is($node->admin(q{SELECT object FROM redoubt.check_restore() WHERE kind = 'label'}, database => $database), '', "$database: a label taken off is not missed");
}
# A label whose token type is gone.
$node->admin('DELETE FROM redoubt.token_type WHERE NOT shipped', database => 'directory_p');
my $gone = $node->admin($check, database => 'directory_p');
like($gone, qr/^label\|public\.legacy\."Ticket No"\|it names no token type of this database\|-- pg_restore/m, 'rows of token_type that are missing: its labels');
like($gone, qr/^token type\|desk\.ticket\|it has no row in redoubt\.token_type/m, 'rows of token_type that are missing: its types');

# ------------------------------------------------------------------------------ keys
# A database that has the same keys already, and one that has others.
for my $database ('same_keys', 'other_key') {
  $node->admin("CREATE DATABASE $database");
  $node->admin('CREATE EXTENSION redoubt', database => $database);
}
write_file("$folder/keys", $node->pg_dump(options => [ '--data-only', '--schema=redoubt', '--table=redoubt.key' ]));
$node->admin(read_file("$folder/keys"), database => 'same_keys');
$node->admin(q{SELECT redoubt.create_key('default')}, database => 'other_key');
my ($out, $err) = run_command([ 'pg_restore', '-d', $node->connstr('same_keys'), "$folder/custom" ]);
is(scalar(() = $err =~ /^pg_restore: error/mg), 1, 'the same keys: the schema is there already') or diag $err;
is($node->admin($check, database => 'same_keys'), q{limit|tokenize of desk.ticket by regress_gone per 86400 s|its role or token type was missing when it was restored|} . $statement,
  'the same keys: they are merged');
is($node->ask('regress_lead', $read, database => 'same_keys'), $plain, 'the same keys: values open');

($out, $err) = run_command([ 'pg_restore', '-d', $node->connstr('other_key'), "$folder/custom" ]);
like($err, qr/COPY failed for table "key": ERROR:  version 1 of key "default" is in this database already, and is another key/, 'another key: is refused');
like($err, qr/HINT:.*key_use\(\).*DELETE FROM redoubt.key WHERE name = 'default'/s, 'another key: with the way out');
$gone = $node->admin($check, database => 'other_key');
like($gone, qr/^key\|desk\|it is missing/m, 'another key: check_restore misses those that came with it');
like($gone, qr/^column\|public\.person\.email\|a token is of another key with this name and version/m, 'another key: and says which columns do not open');
like($gone, qr/^column\|public\.person\.ticket\|a token names a version of its key that is missing/m, 'another key: for want of a key, too');
unlike($gone, qr/person\d\@|tok_|TM-/, 'another key: and shows neither token nor value');
$node->fails_with('regress_lead', 'SELECT redoubt.detokenize(email) FROM person', 'XX001', qr/corrupt token/, 'another key: nothing opens', database => 'other_key');
$node->admin(q{DELETE FROM redoubt.key WHERE name = 'default'}, database => 'other_key');
$node->command_ok([ 'pg_restore', '--data-only', '--schema=redoubt', '--table=key', '-d', 'other_key', "$folder/custom" ], 'another key: the way out works');
is($node->admin(q{SELECT count(*) FROM redoubt.check_restore() WHERE kind IN ('key', 'column')}, database => 'other_key'), '0', 'another key: and all is well');
is($node->ask('regress_lead', $read, database => 'other_key'), $plain, 'another key: values open');

# Tables without what the vault has of them.
$node->admin('DELETE FROM redoubt.vault', database => 'other_key');
like($node->admin($check, database => 'other_key'), qr/^column\|public\.person\.code\|a token is of a type of which the vault holds nothing \(key default\)\|-- pg_restore.*--table=vault/m,
  'a vault that was not restored is missed');
$node->command_ok([ 'pg_restore', '--data-only', '--schema=redoubt', '--table=vault', '-d', 'other_key', "$folder/custom" ], 'and restored');
is($node->ask('regress_lead', $read, database => 'other_key'), $plain, 'values open again');

# The same keys under another KEK: a dump from before it was changed.
$node->set_conf("redoubt.kek_file = '" . $node->new_kek('second') . "'", "redoubt.previous_kek_file = '$folder/kek'");
$node->restart;
$node->admin('SELECT redoubt.rewrap_keys()');
$node->admin(read_file("$folder/keys"));
is($node->admin(q{SELECT count(DISTINCT kek_fingerprint), count(*) FROM redoubt.key}), '1|2', 'a dump from before a change of the KEK: its keys are the same');
$node->set_conf("redoubt.previous_kek_file = ''");
$node->restart;
$node->fails_with('', read_file("$folder/keys"), '55000', qr/or cannot be compared/, 'and cannot be told without the other KEK');
like($node->admin($check, database => 'custom_p'), qr/^key\|default, version 1\|another key-encryption key wrapped it\|-- start the server with the key-encryption key \w+/m,
  'keys that the server cannot open are named');
$node->set_conf("redoubt.previous_kek_file = '$folder/kek'");
$node->restart;

# -------------------------------------------------------------------------- triggers
$node->admin('CREATE DATABASE untriggered');
$node->command_ok([ 'pg_restore', '--schema-only', '-d', 'untriggered', "$folder/custom" ], 'a schema');
$node->admin('CREATE ROLE regress_gone');
for my $which ('--schema', '--exclude-schema') {
  $node->command_ok([ 'pg_restore', '--data-only', '--disable-triggers', "$which=redoubt", '-d', 'untriggered', "$folder/custom" ], "and its data, with --disable-triggers, $which");
}
$helps = $node->admin(q{SELECT string_agg(statement, E'\n') FROM redoubt.check_restore() WHERE kind = 'trigger'}, database => 'untriggered');
is(scalar(() = $helps =~ /^ALTER TABLE redoubt\.\w+ ENABLE ALWAYS TRIGGER/mg), 15, 'leave triggers that a replica does not fire') or diag $helps;
$node->admin($helps, database => 'untriggered');
is($node->admin($check, database => 'untriggered'), '', 'what check_restore says helps');

# ------------------------------------------------------------------ who is no superuser
$node->admin('CREATE ROLE regress_owner LOGIN; CREATE DATABASE owned OWNER regress_owner');
$node->admin('CREATE EXTENSION redoubt', database => 'owned');
($out, $err) = run_command([ 'pg_restore', '-U', 'regress_owner', '--no-owner', '-d', $node->connstr('owned'), "$folder/custom" ]);
like($err, qr/permission denied to make functions of redoubt by hand\nHINT:.*restored by a superuser/, 'a restore by an owner who is no superuser: is told what to do');
$node->fails_with('regress_clerk', 'SELECT * FROM redoubt.check_restore()', '42501', qr/permission denied/, 'check_restore is for admins and auditors');
$node->admin('GRANT redoubt_auditor TO regress_agent');
is($node->ask('regress_agent', $check), '', 'an auditor may');

# ------------------------------------------------------ limits that a dump runs into
$node->admin(q{SELECT redoubt.set_limit(NULL, 'redoubt.email_token', 'read', 3, '1 hour')});
my $dumped = run_log([ 'pg_dump', '-f', "$folder/limited", '-d', $node->connstr('postgres') ]);
ok(!$dumped, 'pg_dump does not get past a read limit for every role, and says so by its exit status');
($out, $err) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like($err, qr/limit on read of redoubt\.email_token exceeded for role/, 'and in words');
$node->admin(q{SELECT redoubt.drop_limit(NULL, 'redoubt.email_token', 'read')});
is($node->verdict, 't', 'the audit trail verifies');

# ------------------------------------------------------------------------ pg_upgrade
# From this version to itself, the new server preloaded or not; and through each older one that there is: REDOUBT_OLDER
# names the folders of their installations, oldest first, with ":" between (test/compat/run).
my @older = split /:/, $ENV{REDOUBT_OLDER} // '';
upgraded('this version', 1, undef, undef);
upgraded('this version, the new server not preloaded', 0, undef, undef);
upgraded(join(', ', map { m{([^/]+)$} } @older) . ', this version', 1, @older, undef) if @older;

# upgraded WHAT, PRELOADED, INSTALL...: a server of the first, filled, is upgraded to each of the others and looked at;
# an INSTALL is a folder, or undef for the PostgreSQL of the PATH.
sub upgraded {
  my ($what, $preloaded, @installs) = @_;
  (my $name = lc $what) =~ s/\W+/_/g;
  my @nodes = map { upgrade_node("${name}_$_", $_ == 0 ? 0 : 1, $installs[$_]) } 0 .. $#installs;
  my ($old, @steps) = @nodes;
  $old->people;
  $old->admin('GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token) TO regress_lead');
  $old->admin($filling);
  $old->ask('regress_lead', $values);
  my $kek = $old->basedir . '/kek';
  $old->stop;
  local $ENV{LD_LIBRARY_PATH} = join ':', map { "$_/lib" } grep { defined } @installs;
  for my $step (0 .. $#steps) {
    my $new = $steps[$step];
    $new->set_conf("shared_preload_libraries = ''") unless $preloaded;
    $new->set_conf("redoubt.kek_file = '$kek'");
    my ($old_bin, $new_bin) = map { bin($_) } @installs[$step, $step + 1];
    chdir $new->basedir or die 'chdir';
    command_ok([ "$new_bin/pg_upgrade", '--no-sync', '-b', $old_bin, '-B', $new_bin, '-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host, '-p', $old->port, '-P', $new->port, '-U', scalar getpwuid($<) ],
      "pg_upgrade, $what: runs through");
    chdir $FindBin::RealBin or die 'chdir';
    $new->set_conf("shared_preload_libraries = 'redoubt'");
    $new->start;
    looked_at($new, "pg_upgrade, $what" . (@steps > 1 ? ', step ' . ($step + 1) : ''));
    $new->stop;
    $old = $new;
  }
  return;
}

# A stopped server without people, and the first, which is to be filled, running.
sub upgrade_node {
  my ($name, $stopped, $install) = @_;
  my $node = RedoubtNode->make($name, people => 0, defined $install ? (install => $install) : ());
  $node->stop if $stopped;
  return $node;
}

sub bin {
  my ($install) = @_;
  return "$install/bin" if defined $install;
  my ($bin) = run_command([ 'pg_config', '--bindir' ]);
  return $bin;
}

sub looked_at {
  my ($node, $what) = @_;
  is($node->admin($labels), $all_labels, "$what: same labels");
  is($node->admin($limits), $all_limits, "$what: same limits");
  is($node->admin($check), '', "$what: nothing is wrong");
  is($node->ask('regress_lead', $read), $plain, "$what: values open, and are found by index");
  is($node->admin('SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text LIKE $$redoubt.%$$ AND tgenabled <> $$A$$'), '0', "$what: triggers fire always");
  $node->ask('regress_lead', q{INSERT INTO person (id, email, ticket, code) VALUES (6, 'new@example.com', 'TM-0000006', desk.code('123-45-6786'::text))});
  is($node->ask('regress_lead', q{SELECT redoubt.detokenize(email), redoubt.detokenize(code) FROM person WHERE ticket = 'tm-0000006'}), 'new@example.com|123-45-6786', "$what: and new ones are made");
  $node->ask('regress_lead', 'DELETE FROM person WHERE id = 6');
  $node->fails_with('', 'DROP EXTENSION redoubt CASCADE', '2BP01', qr/columns hold tokens/, "$what: the extension is whole");
  return;
}

done_testing();
