# documents.pl - proves that what docs/quickstart.md and docs/cookbook.md tell the reader to type does what they say.
#
# Of each page, the blocks marked "sql" run in one session of psql, in their order, and those marked "sh" from that session, in
# a folder of their own.  Where a block marked "text" follows at once, what it shows is what was printed; without one, there
# must be no error.  Blocks with another mark, or none, are not run: they need a machine of one's own.
#
# Tokens and points in time differ from run to run: they are compared by their form alone, and so is how wide columns are.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
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

done_testing();
