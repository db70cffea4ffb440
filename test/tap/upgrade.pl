# upgrade.pl - proves that ALTER EXTENSION redoubt UPDATE makes of a database of 0.1 what CREATE EXTENSION makes anew:
# the same objects with the same definitions, privileges, comments and dump conditions, whatever later scripts add; that
# what was made before works before and after with this library; and that a dump of 0.1 is restored.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('upgrade', people => 0);

# Everything that belongs to the extension, one line each, without OIDs; sorted.
my $catalog = <<~'SQL';
  SET search_path = pg_catalog;
  CREATE TEMP VIEW member AS
    SELECT d.classid, d.objid, d.objsubid, i.type, i.identity FROM pg_depend AS d, pg_identify_object(d.classid, d.objid, d.objsubid) AS i
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redoubt');
  SELECT line FROM (
    SELECT 'member ' || type || ' ' || identity FROM member
    UNION ALL SELECT 'comment ' || identity || ': ' || coalesce(obj_description(objid, classid::regclass::name), 'none') FROM member
    UNION ALL SELECT 'column comment ' || c.oid::regclass || ' ' || a.attname || ': ' || coalesce(col_description(c.oid, a.attnum), 'none')
      FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) || ' owner ' || p.proowner::regrole || ' acl ' || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(p.proacl) AS a WHERE a::text NOT LIKE 'regress%'), CASE WHEN p.proacl IS NULL THEN 'default' ELSE 'nobody' END)
      || ' cost ' || p.procost || ' support ' || p.prosupport
      FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid WHERE p.prokind <> 'a'
    UNION ALL SELECT 'relation ' || c.oid::regclass || ' ' || c.relkind::text || ' acl ' || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(c.relacl) AS a), 'default') || ' options ' || coalesce(c.reloptions::text, '')
        || CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) ELSE '' END
      FROM member AS m JOIN pg_class AS c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
    UNION ALL SELECT 'column ' || a.attrelid::regclass || ' ' || row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || coalesce(' default ' || pg_get_expr(f.adbin, f.adrelid), '') || ' ' || concat_ws(' ', a.attidentity, a.attstorage, a.attstattarget)
      FROM member AS m JOIN pg_attribute AS a ON m.classid = 'pg_class'::regclass AND a.attrelid = m.objid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    UNION ALL SELECT 'constraint ' || k.conrelid::regclass || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid) FROM member AS m JOIN pg_constraint AS k ON m.classid = 'pg_class'::regclass AND k.conrelid = m.objid
    UNION ALL SELECT 'index ' || pg_get_indexdef(x.indexrelid) FROM member AS m JOIN pg_index AS x ON m.classid = 'pg_class'::regclass AND x.indrelid = m.objid
    UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM member AS m JOIN pg_trigger AS t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid
    UNION ALL SELECT 'type ' || t.oid::regtype || ' ' || concat_ws(' ', t.typlen, t.typbyval, t.typtype, t.typcategory, t.typispreferred, t.typinput, t.typoutput, t.typreceive, t.typsend, t.typalign, t.typstorage)
        || ' acl ' || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(t.typacl) AS a), 'default')
      FROM member AS m JOIN pg_type AS t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
    UNION ALL SELECT 'operator ' || o.oid::regoperator || ' ' || concat_ws(' ', o.oprcode, o.oprrest, o.oprjoin, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprcanmerge, o.oprcanhash)
      FROM member AS m JOIN pg_operator AS o ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid
    UNION ALL SELECT 'opclass ' || m.identity || ' ' || concat_ws(' ', o.opcintype::regtype, o.opcdefault, o.opckeytype::regtype) FROM member AS m JOIN pg_opclass AS o ON m.classid = 'pg_opclass'::regclass AND o.oid = m.objid
    UNION ALL SELECT 'in family ' || m.identity || ' ' || concat_ws(' ', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose) FROM member AS m JOIN pg_amop AS a ON m.classid = 'pg_opfamily'::regclass AND a.amopfamily = m.objid
    UNION ALL SELECT 'in family ' || m.identity || ' ' || concat_ws(' ', a.amprocnum, a.amproc::regprocedure, a.amproclefttype::regtype, a.amprocrighttype::regtype) FROM member AS m JOIN pg_amproc AS a ON m.classid = 'pg_opfamily'::regclass AND a.amprocfamily = m.objid
    UNION ALL SELECT 'cast ' || m.identity || ' ' || concat_ws(' ', c.castmethod, c.castcontext, c.castfunc::regprocedure) FROM member AS m JOIN pg_cast AS c ON m.classid = 'pg_cast'::regclass AND c.oid = m.objid
    UNION ALL SELECT 'dumped ' || x.config::regclass || ' ' || coalesce(e.extcondition[x.n], '') FROM pg_extension AS e, unnest(e.extconfig) WITH ORDINALITY AS x(config, n) WHERE e.extname = 'redoubt'
    UNION ALL SELECT 'extension ' || extversion || ' ' || extnamespace::regnamespace FROM pg_extension WHERE extname = 'redoubt'
    UNION ALL SELECT 'shipped ' || (to_jsonb(t) - 'created_at')::text FROM redoubt.token_type AS t WHERE t.shipped
    UNION ALL SELECT 'schema ' || n.nspacl::text FROM pg_namespace AS n WHERE n.nspname = 'redoubt'
  ) AS all_of_it(line) ORDER BY line COLLATE "C";
  SQL
$node->admin('CREATE DATABASE anew; CREATE DATABASE plain; CREATE DATABASE updated; CREATE ROLE regress_lead LOGIN; CREATE ROLE regress_gone; CREATE ROLE regress_later');
$node->admin('CREATE EXTENSION redoubt', database => 'anew');
my $anew = $node->admin($catalog, database => 'anew');
cmp_ok(scalar(() = $anew =~ /^member /mg), '>', 300, 'what belongs to the extension is listed');
like($anew, qr/^dumped redoubt\.limit_rule /m, 'conditions of dumps among it');

# same DATABASE, TITLE: the lines that differ are what a failure shows.
sub same {
  my ($database, $title) = @_;
  my %seen = map { $_ => 1 } split /\n(?=(?:member|comment|column|function|relation|constraint|index|trigger|type|operator|opclass|in family|cast|dumped|extension|shipped|schema) )/, $anew;
  my %there = map { $_ => 1 } split /\n(?=(?:member|comment|column|function|relation|constraint|index|trigger|type|operator|opclass|in family|cast|dumped|extension|shipped|schema) )/, $node->admin($catalog, database => $database);
  is(join("\n", (map { "only anew: $_" } grep { !$there{$_} } sort keys %seen), (map { "only here: $_" } grep { !$seen{$_} } sort keys %there)), '', $title);
  return;
}

# A database in which nothing was done, and one that was used.
$node->admin(q{CREATE EXTENSION redoubt VERSION '0.1'; ALTER EXTENSION redoubt UPDATE}, database => 'plain');
same('plain', 'an update makes what CREATE EXTENSION makes');
$node->admin(q{CREATE EXTENSION redoubt VERSION '0.1'}, database => 'updated');
$node->admin(<<~'SQL', database => 'updated');
  CREATE SCHEMA desk;
  GRANT USAGE ON SCHEMA desk TO PUBLIC;
  SELECT redoubt.create_token_type('desk.ticket', pattern => '^TM-[0-9]{7}$', "normalize" => 'upper');
  SELECT redoubt.create_token_type('desk.serial', method => 'fpe', format => 'SN-(\d{9})');
  SELECT redoubt.create_token_type('desk.code', method => 'vault', format => 'us_ssn');
  SELECT redoubt.create_token_type('desk.note', deterministic => false);
  GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.search(redoubt.email_token), desk.ticket(text),
    redoubt.detokenize(desk.ticket), desk.serial(text), redoubt.detokenize(desk.serial), desk.code(text), redoubt.detokenize(desk.code), desk.note(text), redoubt.detokenize(desk.note) TO regress_lead;
  CREATE TABLE person (id integer PRIMARY KEY, email redoubt.email_token UNIQUE, ticket desk.ticket, serial desk.serial, code desk.code, note desk.note);
  GRANT ALL ON person TO regress_lead;
  CREATE TABLE legacy (id integer PRIMARY KEY, mail text);
  SECURITY LABEL FOR redoubt ON COLUMN legacy.mail IS 'desk.ticket';
  GRANT ALL ON legacy TO regress_lead;
  SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1000, '1 hour', burst => 100);
  SELECT redoubt.set_limit('regress_later', 'desk.ticket', 'read', 7, 'statement');
  SELECT redoubt.set_limit('regress_gone', NULL, 'read', 7, '1 day');
  SELECT redoubt.set_limit('regress_lead', 'desk.ticket', 'read', 5, 'statement');
  CREATE VIEW my_limits AS SELECT id, role, token_type FROM redoubt.limits;
  SQL
my $fill = q{INSERT INTO person SELECT i, 'person' || i || '@example.com', 'TM-000000' || i, desk.serial('SN-00000000' || i), desk.code('123-45-678' || i), 'note ' || i FROM generate_series(%d, %d) AS i};
my $read = q{SELECT redoubt.detokenize(email), redoubt.detokenize(ticket), redoubt.detokenize(serial), redoubt.detokenize(code), redoubt.detokenize(note)
  FROM person WHERE email = 'person%1$d@example.com' AND lower(email) LIKE 'person%1$d%%'};

# works WHAT, N: what there is, and what is made now (the N-th and following person), opens; limits hold.
sub works {
  my ($what, $n) = @_;
  $node->ask('regress_lead', sprintf($fill, $n, $n + 1), database => 'updated');
  for my $i ($n, 1) {
    is($node->ask('regress_lead', sprintf($read, $i), database => 'updated'), "person$i\@example.com|TM-000000$i|SN-00000000$i|123-45-678$i|note $i", "$what: person $i is read");
  }
  $node->fails_with('regress_lead', 'SELECT mail FROM legacy', '53400', qr/limit on read of desk\.ticket/, "$what: a label and a limit hold", database => 'updated');
  $node->admin(q{SELECT redoubt.set_limit('regress_lead', 'desk.code', 'reveal', 10, '1 day'); SELECT redoubt.drop_limit('regress_lead', 'desk.code', 'reveal')}, database => 'updated');
  is($node->admin(q{SELECT count(*) FROM redoubt.explain_limit('regress_lead', 'redoubt.email_token', 'reveal')}, database => 'updated'), '1', "$what: limits are explained");
  is($node->admin(q{SELECT count(*) FROM redoubt.status() WHERE severity = 'error'}, database => 'updated'), '0', "$what: status() has no error");
  is($node->admin('SELECT count(*) > 0 FROM redoubt.usage', database => 'updated'), 't', "$what: usage is there");
  is($node->verdict, 't', "$what: the trail verifies") if $node->admin(q{SELECT 1 FROM pg_extension WHERE extname = 'redoubt'}) eq '1';
  return;
}
$node->admin(q{INSERT INTO legacy SELECT i, 'TM-000000' || i FROM generate_series(1, 9) AS i}, database => 'updated');
works('0.1', 1);
$node->admin('DROP ROLE regress_gone');  # from another database

# What a dump of 0.1 holds: a limit of a role that is gone, by number, and one of a role that will be.
my $folder = $node->basedir;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/of_0.1", 'updated' ], '0.1: a dump');
my $before = $node->admin('SELECT * FROM my_limits ORDER BY id', database => 'updated');
my $number = $node->admin('SELECT role::oid FROM redoubt.limit_rule WHERE id = 3', database => 'updated');

$node->admin('ALTER EXTENSION redoubt UPDATE', database => 'updated');
same('updated', 'an update of a database that was used makes the same');
is($node->admin('SELECT * FROM my_limits ORDER BY id', database => 'updated'), $before, 'limits are what they were, and a view of them is');
works('0.2', 3);
like($node->admin('SELECT kind, object FROM redoubt.check_restore()', database => 'updated'), qr/\Alimit\|read of every type by $number\z/, 'check_restore() finds the limit of the role that is gone');
$node->restart;
works('0.2, restarted', 5);
$node->admin('ALTER EXTENSION redoubt UPDATE', database => 'updated');
same('updated', 'a second update changes nothing');

# Restored where one more role is missing, and one has the number of the one that is gone.
$node->admin('DROP ROLE regress_later');
$node->admin('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', 'restored', "$folder/of_0.1" ], 'a dump of 0.1 is restored');
same('restored', 'as a database of 0.2');
is($node->admin('SELECT id, role, token_type FROM redoubt.limits ORDER BY id', database => 'restored'), "1|regress_lead|email_token\n4|regress_lead|desk.ticket",
  'with the limits of those who are there');
like($node->admin('SELECT kind, object FROM redoubt.check_restore()', database => 'restored'), qr/\Alimit\|read of desk\.ticket by regress_later per statement\z/, 'and a word about the other');
is($node->ask('regress_lead', sprintf($read, 2), database => 'restored'), 'person2@example.com|TM-0000002|SN-000000002|123-45-6782|note 2', 'values open');

done_testing();
