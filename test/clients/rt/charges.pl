# charges.pl RESULTS [TOKENS] - what operations on labelled columns were charged, against what they ask for; or, of TOKENS, what
# they were charged on token columns, against that.
#
# RESULTS and TOKENS are what the files of results begin with.  An operation that shows people and searches for none costs reads and
# no probe; one that finds a person by a protected value costs no more than that person's row; one that tells of rows by a
# protected value costs probes.  The last line is "N passed, N failed".
use strict;
use warnings;
use JSON::PP;

my ($prefix, $of_tokens) = @ARGV;
my $json = JSON::PP->new->utf8;
binmode STDOUT, ':encoding(UTF-8)';

# charges RESULTS: of each operation.
sub charges {
  my ($of) = @_;
  my %charges;
  for my $kind (qw(operations requests)) {
    open my $in, '<:raw', "$of.$kind" or die "$of.$kind: $!\n";
    while (my $line = <$in>) {
      my $operation = $json->decode($line);
      $charges{ $operation->{name} } = $operation->{charges};
    }
  }
  return %charges;
}
my %charges = charges($prefix);

# Shown by number or by unprotected columns.  The first is the page of a ticket, in its three parts.
my @shown = (
  'page: ticket', 'page: ticket history', 'page: ticket, all of it',
  'user by number', 'user by name', 'users ordered by name', 'privileged users', 'user as shown on pages',
  'people of a ticket', 'history of a ticket', 'correspond', 'comment', 'merge tickets',
  'tickets: requestor by name', 'chart by requestor',
  'page: log in', 'page: home', 'page: ticket people', 'page: everything of a ticket', 'page: answer', 'page: whom an answer reaches',
  'page: answer sent', 'page: merge', 'page: tickets', 'page: tickets as a table', 'page: quick search, word', 'page: query builder',
  'page: bulk update', 'page: chart by requestor', 'page: user', 'page: user history', 'page: what a name shows', 'page: user form',
  'page: members of a group', 'page: about me', 'gateway: answer', 'REST 1: user', 'REST 1: ticket', 'REST 2: ticket',
  'REST 2: user', 'self service: home', 'self service: ticket', 'self service: about me');
# Of one person, found by a protected value.
my @found = ('user by address', 'user by address, other case', 'load or create, known address', 'users: address is',
  'users: real name is', 'users: phone is');
# Tickets, found by a protected value of their people, or put into its order.
my @told = ('user by unknown address', 'tickets: requestor LIKE', 'tickets: requestor ENDSWITH', 'tickets: requestor NOT LIKE',
  'tickets: real name LIKE', 'tickets: phone LIKE', 'tickets: quick search', 'tickets ordered by requestor',
  'page: tickets of a requestor', 'page: tickets by requestor');

# The page of a ticket, one search, one password.
my @printed = ($shown[0], 'page: tickets of a requestor', 'reset a password');

sub sum { my ($of, $operation) = @_; my $sum = 0; $sum += $of->{$_} for grep { /^\Q$operation\E / } keys %$of; return $sum }

my ($passed, $failed) = (0, 0);
sub listed { my ($of) = @_; return join(', ', map { "$_ x $of->{$_}" } sort keys %$of) || 'nothing' }
sub expect {
  my ($good, $name, $what) = @_;
  $good ? $passed++ : $failed++;
  print "$name: $what; charged: ", listed($charges{$name} // {}), "\n" unless $good;
}
# The last lines.
sub finish {
  print "charged for \"$_\": ", listed($charges{$_}), "\n" for @printed;
  print "$passed passed, $failed failed\n";
  exit($failed == 0 && $passed > 0 ? 0 : 1);
}

if (defined $of_tokens) {
  my %labelled = %charges;
  %charges = charges($of_tokens);
  for my $name (sort keys %labelled) {
    my ($least, $of) = ($labelled{$name}, $charges{$name} // die "there is no operation \"$name\"\n");
    my @more = grep { /^(?:probe|reveal|read) / && $of->{$_} > ($least->{s/^reveal/read/r} // 0) } keys %$of;
    expect(!@more, $name, 'labelled columns were charged less: ' . listed($least));
  }
  finish();
}

for my $name (@shown) {
  my $of = $charges{$name} // die "there is no operation \"$name\"\n";
  expect(sum($of, 'read') > 0 && sum($of, 'probe') == 0, $name, 'shows people, searches for none, and costs no probe');
}
for my $name (@found) {
  my $of = $charges{$name} // die "there is no operation \"$name\"\n";
  expect(sum($of, 'read') > 0 && !(grep { $_ > 1 } values %$of) && sum($of, 'probe') == 0, $name, 'finds one person, and costs that row');
}
for my $name (@told) {
  my $of = $charges{$name} // die "there is no operation \"$name\"\n";
  expect(sum($of, 'probe') > 0, $name, 'tells of people by their values, and costs probes');
}
finish();
