# load.pl - fills RT's database through RT's API: staff, customers and tickets of the CSV file, as a help desk's would be.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Desk qw(open_desk customers user);

sub must {
  my ($done, $message) = @_;
  die 'load.pl: ' . ($message // 'no message') . "\n" unless $done;
  return $done;
}

open_desk();
my $root = user('root');
my ($customers, $tickets) = customers();

my $queue = RT::Queue->new($root);
$queue->Load('General');
for my $right (qw(CreateTicket ReplyToTicket)) {
  my $everyone = RT::Group->new($root);
  $everyone->LoadSystemInternalGroup('Everyone');
  must($everyone->PrincipalObj->GrantRight(Right => $right, Object => $queue));
}
my $unprivileged = RT::Group->new($root);
$unprivileged->LoadSystemInternalGroup('Unprivileged');
must($unprivileged->PrincipalObj->GrantRight(Right => $_, Object => $queue)) for qw(ShowTicket SeeQueue);

for my $name (qw(anna ben carla dora emil)) {
  my $staff = RT::User->new($root);
  must($staff->Create(Name => $name, EmailAddress => "$name\@desk.example", RealName => ucfirst($name) . ' Deskman',
    WorkPhone => '+1 202 555 0100', Password => 'secret-of-desk', Privileged => 1));
  must($staff->PrincipalObj->GrantRight(Right => 'OwnTicket', Object => $queue));
  must($staff->PrincipalObj->GrantRight(Right => $_, Object => $RT::System)) for $name eq 'anna' ? 'SuperUser' : ();
}

my $number = 0;
for my $row (@$customers) {
  my $customer = RT::User->new($root);
  must($customer->Create(Name => $row->{customer_email}, EmailAddress => $row->{customer_email}, RealName => $row->{customer_name},
    WorkPhone => $row->{customer_phone}, ($number == 0 ? (Password => 'secret-of-customer') : ()), Privileged => 0));
  $number++;
}

$number = 0;
for my $row (@$tickets) {
  my $ticket = RT::Ticket->new($root);
  my $body = MIME::Entity->build(Type => 'text/plain', Charset => 'UTF-8',
    Data => "$row->{product}: $row->{subject}.\nCall me back: $row->{customer_phone}\n");
  my ($id, undef, $message) = $ticket->Create(Queue => 'General', Requestor => $row->{customer_email},
    Subject => "$row->{subject} ($row->{ticket_id})", Owner => (qw(anna ben Nobody))[ $number++ % 3 ], MIMEObj => $body);
  must($id, $message);
  must($ticket->SetStatus('resolved')) if $row->{status} eq 'Closed';
}
printf "%d customers, %d tickets\n", scalar @$customers, scalar @$tickets;
