# compare.pl [--table | --known FILE CLIENT] YARDSTICK VARIANT - compares the results of all operations with those on plain text.
#
# YARDSTICK and VARIANT are what the files of results begin with: YARDSTICK.operations, YARDSTICK.requests where there is one.
# A line of them is JSON (name, result, mail, errors, charges) or, from a driver, name and result with a tab between.  A
# variant's operation passes if result and mail are the same and no SQL statement failed.  The last line is
# "N passed, N failed".
# FILE lists what is not the same: client, operation, result and reason, with tabs between.  Such an operation of CLIENT (one
# or more, with commas between), or of client "*", passes if it does differ and its result begins with the one listed.
# With --table nothing passes or fails: each operation is printed with what became of it and what it was charged, then what
# the statements that failed are and say.  There, a result is "masked" if it is the same but for the words that hold the mask
# character.
use strict;
use warnings;
use Encode qw(decode);
use JSON::PP;

my $table = @ARGV && $ARGV[0] eq '--table' ? shift : '';
my %known;
if (@ARGV && $ARGV[0] eq '--known') {
  my (undef, $file, $client) = splice @ARGV, 0, 3;
  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
  while (<$in>) {
    next if /^#|^$/;
    chomp;
    my ($whose, $operation, $result, $reason) = split /\t/;
    die "$file:$.: four fields are needed: client, operation, result, reason\n" unless $reason;
    $known{$operation} = { result => $result, of_all => $whose eq '*' } if grep { $whose eq $_ } '*', split /,/, $client;
  }
}
my ($yardstick, $variant) = @ARGV;
my $json = JSON::PP->new->utf8;
binmode STDOUT, ':encoding(UTF-8)';

# driver_result LINE
sub driver_result {
  my ($line) = @_;
  chomp $line;
  my ($name, $result) = split /\t/, decode('UTF-8', $line), 2;
  return { name => $name, result => [ $result // '(nothing)' ], mail => [], errors => [], charges => {} };
}

sub results {
  my ($prefix, $kind) = @_;
  open my $in, '<:raw', "$prefix.$kind" or die "$prefix.$kind: $!\n";
  return map { /^\{/ ? $json->decode($_) : driver_result($_) } <$in>;
}

# difference YARDSTICK, VARIANT: the first line that is not the same, or nothing.
sub difference {
  my ($expected, $got) = @_;
  for my $part (qw(result mail)) {
    my ($want, $have) = ($expected->{$part}, $got->{$part});
    for my $line (0 .. (@$want > @$have ? $#$want : $#$have)) {
      my ($a, $b) = map { $_ // '(nothing)' } $want->[$line], $have->[$line];
      next if $a eq $b;
      my $at = 0;
      $at++ while $at < length $a && substr($a, $at, 1) eq substr($b, $at, 1);
      my $from = $at > 40 ? $at - 40 : 0;
      return sprintf '%s, line %d: "%s" instead of "%s"', $part, $line + 1, substr($b, $from, 110), substr($a, $from, 110);
    }
  }
  return;
}

# The mask character, as it is and as addresses and JSON write it.
my $mask = qr/\x{2022}|%E2%80%A2|\\u2022|&#8226;/i;

# is_masked YARDSTICK, VARIANT: see above.
sub is_masked {
  my ($expected, $got) = @_;
  for my $part (qw(result mail)) {
    my ($want, $have) = ($expected->{$part}, $got->{$part});
    return '' if @$want != @$have;
    for my $line (0 .. $#$want) {
      my $pattern = join '.*', map { quotemeta } split /[^\s<>|"]*$mask[^\s<>|"]*/, $have->[$line] // '', -1;
      return '' if $want->[$line] !~ /\A$pattern\z/s;
    }
  }
  return 1;
}

# short STATEMENT: without the list of columns that RT's pages ask for.
sub short {
  my ($statement) = @_;
  $statement =~ s/\s+/ /g;
  return length $statement > 700 ? substr($statement, 0, 700) . ' ...' : $statement;
}

my ($passed, $failed, %kinds, @order) = (0, 0);
for my $kind (grep { -e "$yardstick.$_" } qw(operations requests)) {
  my @expected = results($yardstick, $kind);
  my @got = results($variant, $kind);
  my ($same, $alike, $masked) = (0, 0, 0);
  for my $number (0 .. $#expected) {
    my ($want, $have) = ($expected[$number], $got[$number]);
    die "$variant.$kind has another operation, or none, where the yardstick has \"$want->{name}\"\n"
      unless $have && $have->{name} eq $want->{name};
    if (defined(my $listed = delete $known{ $have->{name} })) {
      my $result = join ' | ', @{ $have->{result} };
      my $differs = defined difference($want, $have) || @{ $have->{errors} };
      my $as_listed = $differs && index($result, $listed->{result}) == 0;
      $as_listed ? $passed++ : $failed++;
      print "$have->{name}: the list of differences is out of date: ",
        $differs ? "\"$result\" instead of \"$listed->{result}\"\n" : "the result is that of plain text\n"
        unless $as_listed;
      next;
    }
    my $differs = difference($want, $have);
    my @errors = @{ $have->{errors} };
    my $good = !defined $differs && !@errors;
    $same++ if $good;
    $alike++ unless defined $differs;
    $good ? $passed++ : $failed++;
    my $became = $good ? 'same' : defined $differs ? 'DIFFERS' : 'same, with SQL errors';
    if (defined $differs && !@errors && is_masked($want, $have)) {
      $masked++;
      $became = 'masked';
    }
    if ($table) {
      my $charges = join ', ', map { "$_ x $have->{charges}{$_}" } sort keys %{ $have->{charges} };
      printf "%-42s %-22s %s\n", $have->{name}, $became, $charges;
    } elsif (!$good) {
      print "not the same: $have->{name}\n";
    }
    print "    $differs\n" if defined $differs && $became ne 'masked';
    for my $error (@errors) {
      my ($message) = $error->{message} =~ /(ERROR:.*)/s;
      $message = "$error->{state} " . ($message // $error->{message});
      $message =~ s/\nLINE \d+:.*?(?=\n(?:HINT|DETAIL)|\z)//s;
      $message =~ s/ at \S+ line \d+.*//s;
      $message =~ s/\s+/ /g;
      if (!$kinds{$message}) { push @order, $message; $kinds{$message} = { statement => short($error->{statement}) } }
      $kinds{$message}{times}++;
      $kinds{$message}{operations}{ $have->{name} }++;
      print "    $message\n" unless $table;
    }
  }
  die "$variant.$kind has more operations than the yardstick\n" if @got > @expected;
  printf "%s: of %d, %d the same, %d more with SQL errors inside, %d masked\n", $kind, scalar @expected, $same, $alike - $same, $masked if $table;
}

for my $operation (grep { !$known{$_}{of_all} } sort keys %known) {
  print "the list of differences has \"$operation\", which did not run\n";
  $failed++;
}
if ($table) {
  print "\nStatements that failed:\n" if @order;
  for my $message (@order) {
    my $kind = $kinds{$message};
    printf "  %s\n    %d times, in %d operations, first in \"%s\"\n    %s\n", $message, $kind->{times}, scalar keys %{ $kind->{operations} },
      (sort keys %{ $kind->{operations} })[0], $kind->{statement};
  }
  exit 0;
}
print "$passed passed, $failed failed\n";
exit($failed == 0 && $passed > 0 ? 0 : 1);
