# Desk.pm - Request Tracker as the tests see it: customers and tickets of a CSV file, and operations whose results are compared.
#
# operation() runs one operation and writes what came of it as a line of JSON: the result in a form that does not depend on
# the time or on chance, the errors of SQL statements (RT swallows them), the mail that RT sent, and what redoubt.usage
# charged the role that RT logs in as.  RT itself is the installed one; only DBI's error handler is set.
package Desk;

use strict;
use warnings;
use lib '/usr/share/request-tracker5/lib';
use DBI;
use JSON::PP;
use RT ();
use Exporter 'import';

our @EXPORT_OK = qw(open_desk tickets customers operation finish user next_second);

my ($Out, $Meter, @Errors);
my $Json = JSON::PP->new->canonical->utf8;

# The first customers and tickets are those that operations name.
use constant { kTickets => 250, kCustomers => 400 };

# open_desk RESULTS: connects RT to its database; operation() will write to the file RESULTS.
sub open_desk {
  my ($results) = @_;
  RT->LoadConfig;
  RT->Init;
  # Charges are read by a superuser, in a session that RT knows nothing of.
  $Meter = DBI->connect("dbi:Pg:dbname=$ENV{REDOUBT_RT_DATABASE}", 'postgres', '', { RaiseError => 1, PrintError => 0 });
  my ($metered) = $Meter->selectrow_array(q{SELECT count(*) FROM pg_extension WHERE extname = 'redoubt'});
  undef $Meter unless $metered;
  return unless defined $results;
  open $Out, '>:raw', $results or die "$results: $!";
}

# watch: RT may have connected anew.
sub watch {
  $RT::Handle->dbh->{HandleError} = sub {
    my ($message, $handle) = @_;
    push @Errors, { state => $handle->state, message => "$message", statement => $handle->{Statement} // '' };
    return 0;
  };
}

# tickets: the lines of the CSV file as hashes.  Its values hold no comma.
sub tickets {
  my $file = $ENV{REDOUBT_RT_CSV} // die 'REDOUBT_RT_CSV is not set';
  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
  my $header = <$in>;
  chomp $header;
  my @names = split /,/, $header;
  my @rows;
  while (my $line = <$in>) {
    chomp $line;
    die "$file has a quoted value\n" if $line =~ /"/;
    my %row;
    @row{@names} = split /,/, $line, -1;
    push @rows, \%row;
  }
  return @rows;
}

# customers: the customers to load, each once, and their tickets: two lists of rows.
sub customers {
  my (%seen, @customers, @tickets);
  for my $row (tickets()) {
    push @customers, $row if @customers < kCustomers && !$seen{ lc $row->{customer_email} }++;
    push @tickets, $row if @tickets < kTickets;
    last if @customers == kCustomers && @tickets == kTickets;
  }
  return (\@customers, \@tickets);
}

# user NAME: an RT::CurrentUser.
sub user {
  my ($name) = @_;
  my $user = RT::CurrentUser->new($name);
  $user->Id or die "there is no user $name\n";
  return $user;
}

# normal TEXT: the text without what differs from run to run: times, random parts of addresses and forms.
sub normal {
  my ($text) = @_;
  return undef unless defined $text;
  my $day = qr/(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/;
  my $month = qr/(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/;
  for ($text) {
    s/&nbsp;/ /g;
    s/$day,? $month \d\d? \d\d:\d\d(?::\d\d)? \d{4}/TIME/g;
    s/$day,? \d\d? $month \d{4} \d\d:\d\d:\d\d(?: [-+]\d{4}| GMT)?/TIME/g;
    s/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?/TIME/g;
    s/\b\d+ (?:second|minute|hour|day)s? ago\b/AGO/g;
    s/\bjust now\b/AGO/g;
    s{<small>\d+ (?:second|minute)s?</small>}{<small>AGO</small>}g;
    s/\b\d{4}-\d\d-\d\d\b/DATE/g;
    s/\b[0-9a-f]{32,}\b/HEX/g;
    s/rt-5\.0\.3[-\w.]*\@/MESSAGE\@/g;
  }
  return $text;
}

# flat VALUE: a result as lines of text.
sub flat {
  my ($value) = @_;
  return ['undef'] unless defined $value;
  return [ map { @{ flat($_) } } @$value ] if ref $value eq 'ARRAY';
  return [ map { my $key = $_; map { "$key: $_" } @{ flat($value->{$key}) } } sort keys %$value ] if ref $value eq 'HASH';
  return [ map { normal($_) } split /\n/, "$value", -1 ];
}

sub charged {
  return {} unless $Meter;
  my $rows = $Meter->selectall_arrayref(q{
    SELECT operation || ' ' || token_type, sum(charged)::bigint FROM redoubt.usage
    WHERE role = 'rt_user'::regrole AND charged > 0 GROUP BY 1});
  return { map { @$_ } @$rows };
}

# mail_lines: the mail sent since the last call.
sub mail_lines {
  my $file = "$ENV{REDOUBT_RT_FOLDER}/mail";
  return [] unless -e $file;
  open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
  my @lines = map { chomp; normal($_) } <$in>;
  close $in;
  unlink $file or die "$file: $!";
  return \@lines;
}

# operation NAME, CODE: see above.  An exception is a result like any other; a transaction that it left open is rolled back.
sub operation {
  my ($name, $code) = @_;
  watch();
  DBIx::SearchBuilder::Record::Cachable->FlushCache;
  mail_lines();
  @Errors = ();
  my $before = charged();
  my $result = eval { flat($code->()) } // ["died: " . normal($@)];
  watch();
  $RT::Handle->ForceRollback if $RT::Handle->TransactionDepth;
  my $after = charged();
  my %charges = map { ($_ => $after->{$_} - ($before->{$_} // 0)) } grep { $after->{$_} > ($before->{$_} // 0) } keys %$after;
  my @errors = map { { %$_, message => normal($_->{message}) } } @Errors;
  print {$Out} $Json->encode({
    name => $name, result => $result, errors => \@errors, mail => mail_lines(), charges => \%charges }), "\n";
}

# next_second: what is made from now on is not as old as what was made before, where RT orders by time.
sub next_second { my $now = time; select undef, undef, undef, 0.05 while time == $now }

# finish: the results are complete.
sub finish { close $Out or die "results: $!" }

1;
