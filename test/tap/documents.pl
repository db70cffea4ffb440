# documents.pl - proves that what docs/quickstart.md and docs/cookbook.md tell the reader to type does what they say.
#
# Of each page, the blocks marked "sql" run in one session of psql, in their order, and those marked "sh" from that session, in
# a folder of their own.  Where a block marked "text" follows at once, what it shows is what was printed; without one, there
# must be no error.  Blocks with another mark, or none, are not run: they need a machine of one's own.
#
# docs/reference.md has what the catalog has: settings and who may set them, functions, columns of views.  What pages call by
# name is there.
#
# Tokens and points in time differ from run to run: they are compared by their form alone, and so is how wide columns are.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use File::Basename qw(basename);
use File::Temp qw(tempdir);
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file read_file);
use Test::More;

my $docs = "$FindBin::RealBin/../../docs";

# blocks PAGE: what is to be run, each { kind, text, line, shown }; shown is undef where the page shows nothing.
sub blocks {
  my ($page) = @_;
  my (@found, $kind, $text, $begin, $follows);
  my $number = 0;
  for my $line (split /^/m, read_file("$docs/$page")) {
    ++$number;
    if (!defined $kind) {
      if ($line =~ /^```(\w*)\s*$/) {
        ($kind, $text, $begin) = ($1, '', $number);
      } elsif ($line =~ /\S/) {
        $follows = 0;
      }
    } elsif ($line =~ /^```\s*$/) {
      if ($kind eq 'text' && $follows) {
        $found[-1]{shown} = $text;
      } elsif ($kind eq 'sql' || $kind eq 'sh') {
        push @found, { kind => $kind, text => $text, line => $begin };
      }
      $follows = $kind eq 'sql' || $kind eq 'sh';
      undef $kind;
    } else {
      $text .= $line;
    }
  }
  die "$page: the block of line $begin does not end\n" if defined $kind;
  return @found;
}

# comparable TEXT: without what differs from run to run, and without the width of columns.
sub comparable {
  my ($text) = @_;
  $text =~ s/tok_[A-Za-z0-9_-]{20,}/tok_…/g;
  $text =~ s/\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?)?)?/<time>/g;
  $text =~ s/-{3,}/---/g;  # the rule below column names, as wide as the values
  $text =~ s/ +/ /g;
  $text =~ s/[ \t]+$//mg;
  $text =~ s/\n{2,}/\n/g;
  $text =~ s/^\n+|\n+$//g;
  return $text;
}

# plays PAGE, DATABASE: runs the page's blocks; one test each.
sub plays {
  my ($node, $page, $database) = @_;
  $node->admin("CREATE DATABASE $database");
  my @blocks = blocks($page);
  my $folder = tempdir(CLEANUP => 1);
  my $script = '';
  for my $number (0 .. $#blocks) {
    my $block = $blocks[$number];
    $script .= "\\echo ---- block $number\n";
    if ($block->{kind} eq 'sql') {
      $script .= $block->{text};
    } else {
      write_file("$folder/block$number.sh", "set -eu\ncd '$folder'\n$block->{text}");
      $script .= "\\! sh $folder/block$number.sh 2>&1\n";
    }
  }
  $script .= "\\echo ---- end\n";
  write_file("$folder/script.sql", $script);
  local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => $database, PGUSER => 'postgres',
    PGOPTIONS => '-c lc_messages=C -c timezone=UTC', PGCLIENTENCODING => 'UTF8');
  delete $ENV{PGAPPNAME};
  system("psql -X -q <'$folder/script.sql' >'$folder/said' 2>&1") == 0 or diag("$page: psql failed");
  my $said = read_file("$folder/said");
  cmp_ok(scalar @blocks, '>', 4, "$page has blocks to run");
  like($said, qr/^---- end$/m, "$page: runs to its end");
  for my $number (0 .. $#blocks) {
    my $block = $blocks[$number];
    my ($printed) = $said =~ /^---- block $number\n(.*?)(?=^---- )/ms;
    $printed //= '(nothing)';
    my $title = "$page, line $block->{line}";
    if (defined $block->{shown}) {
      is(comparable($printed), comparable($block->{shown}), "$title: prints what is shown") or diag("as it was printed:\n$printed");
    } else {
      unlike($printed, qr/^(?:ERROR|FATAL|WARNING|sh|psql|pg_\w+|.*: error):/m, "$title: no error");
    }
  }
  return $said;
}

my $node = RedoubtNode->make('documents', people => 0);
my $said = plays($node, 'quickstart.md', 'quickstart');
like($said, qr/^ ok$/m, 'the quick start ends with ok');
plays($node, 'cookbook.md', 'cookbook');

# The reference beside the catalog.
my @there = (database => 'quickstart');
my $reference = read_file("$docs/reference.md");
my %who = (user => 'anyone', superuser => 'superuser', sighup => 'at reload', postmaster => 'at start');
my ($rows) = $reference =~ /^## Settings\n(.*?)^## /ms;
for my $line (split /\n/, $node->admin(q{SELECT name, context FROM pg_settings WHERE name LIKE 'redoubt.%' ORDER BY 1}, @there)) {
  my ($name, $context) = split /\|/, $line;
  my ($row) = $rows =~ /^(\|[^|]*`\Q$name\E`.*)$/m;
  like($row // '', qr/\| $who{$context}/, "reference.md has $name, and who may set it");
}
my $section = join '', $reference =~ /^## (?:Views|Functions|Limits)\n.*?(?=^## )/msg;
is($node->admin("SELECT v.attrelid::regclass, v.attname FROM pg_attribute AS v JOIN pg_class AS c ON c.oid = v.attrelid"
    . " WHERE c.relnamespace = 'redoubt'::regnamespace AND c.relkind IN ('v', 'f') AND c.relname <> 'protections' AND v.attnum > 0"
    . " AND NOT (regexp_split_to_array(\$docs\$$section\$docs\$, '\\W+') \@> ARRAY[v.attname::text])", @there), '', 'and each column of the views');
is($node->admin("SELECT p.oid::regprocedure FROM pg_proc AS p"
    . " WHERE p.pronamespace = 'redoubt'::regnamespace AND obj_description(p.oid, 'pg_proc') !~ '^internal'"
    . " AND p.proname !~ '_(in|out|recv|send)\$' AND p.prorettype <> 'trigger'::regtype"
    . " AND NOT EXISTS (SELECT FROM pg_operator AS o WHERE o.oprcode = p.oid) AND NOT EXISTS (SELECT FROM pg_amproc AS a WHERE a.amproc = p.oid)"
    . " AND NOT (regexp_split_to_array(\$docs\$$reference\$docs\$, '\\W+') \@> ARRAY[p.proname::text])", @there), '', 'and each function that is no part of another thing');

# Types that examples make, and what is no name of SQL: redoubt.kek, redoubt.rb.
my %example = map { $_ => 1 } qw(account card kek patient phone2 pin rb previous_kek_);
my %is = map { $_ => 1 } split /\n/, $node->admin(q{SELECT proname FROM pg_proc WHERE pronamespace = 'redoubt'::regnamespace
  UNION SELECT relname FROM pg_class WHERE relnamespace = 'redoubt'::regnamespace UNION SELECT typname FROM pg_type WHERE typnamespace = 'redoubt'::regnamespace
  UNION SELECT substr(name, 9) FROM pg_settings WHERE name LIKE 'redoubt.%'}, @there);
for my $page (sort glob("$docs/*.md"), "$docs/../README.md") {
  my @unknown = grep { !$is{$_} && !$example{$_} } read_file($page) =~ /\bredoubt\.([a-z_0-9]+)/g;
  is("@unknown", '', basename($page) . ': what it names is there');
}

done_testing();
