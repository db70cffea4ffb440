# database_copy.pl - proves that a copy of a database, which would have budgets of its own, is made by redoubt_admin or a
# superuser alone and is an event; that databases without Redoubt are nobody's concern; and that no name is decided on twice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('copy');
$node->admin($_) for split /;\n/, <<~'SQL';
  CREATE ROLE regress_dbo LOGIN CREATEDB;
  CREATE ROLE regress_dba LOGIN CREATEDB IN ROLE redoubt_admin, regress_dbo;
  GRANT regress_lead TO regress_dbo;
  CREATE DATABASE app OWNER regress_dbo;
  CREATE DATABASE bare OWNER regress_dbo
  SQL
$node->admin('CREATE EXTENSION redoubt', database => 'app');

my $refusal = qr/permission denied to copy database "app".*redoubt_admin/s;
for my $options ('TEMPLATE app', 'TEMPLATE = "app"', 'TEMPLATE app STRATEGY file_copy', 'OWNER regress_dbo TEMPLATE app') {
  $node->fails_with('regress_dbo', "CREATE DATABASE cp $options", '42501', $refusal, "the owner cannot copy: $options");
}
$node->fails_with('regress_dbo', 'CREATE DATABASE cp TEMPLATE app', '42501', $refusal, 'nor from a database without Redoubt',
  database => 'bare');
$node->ask('regress_dbo', 'ALTER DATABASE app RENAME TO other', database => 'bare');
$node->fails_with('regress_dbo', 'CREATE DATABASE cp TEMPLATE other', '42501', qr/database "other"/, 'nor under another name');
$node->ask('regress_dbo', 'ALTER DATABASE other RENAME TO app', database => 'bare');
is($node->admin(q{SELECT count(*) FROM pg_database WHERE datname = 'cp'}), '0', 'no copy was made');

$node->ask('regress_dbo', 'CREATE DATABASE fresh');
$node->ask('regress_dbo', 'CREATE DATABASE second TEMPLATE bare');
$node->ask('regress_dbo', 'CREATE DATABASE third TEMPLATE template0');
$node->ask('regress_dba', 'CREATE DATABASE by_admin TEMPLATE app');
$node->admin('CREATE DATABASE by_superuser TEMPLATE app');
is($node->admin(<<~'SQL'), "denied|6\nsuccess|2", 'refusals and copies are events');
  SELECT outcome, count(*) FROM redoubt.audit WHERE operation = 'CREATE DATABASE' GROUP BY 1 ORDER BY 1
  SQL
is($node->admin(q{SELECT detail FROM redoubt.audit WHERE event = 'database' ORDER BY sequence LIMIT 1}), 'by_admin is a copy of app',
  'the event names both');

# A copy holds Redoubt, and cannot be copied on; without the extension it can.
$node->admin('ALTER DATABASE by_admin OWNER TO regress_dbo');
$node->fails_with('regress_dbo', 'CREATE DATABASE cp TEMPLATE by_admin', '42501', qr/permission denied to copy/, 'a copy of a copy');
$node->admin('DROP EXTENSION redoubt CASCADE', database => 'by_admin');
$node->ask('regress_dbo', 'CREATE DATABASE cp TEMPLATE by_admin');

# With Redoubt in template1, a new database has it, too.
$node->admin('CREATE EXTENSION redoubt', database => 'template1');
$node->fails_with('regress_dbo', 'CREATE DATABASE cp2', '42501', qr/copy database "template1"/, 'template1 is a template like others');
$node->ask('regress_dbo', 'CREATE DATABASE cp3 TEMPLATE template0');
done_testing();
