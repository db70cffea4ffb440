# operations.pl RESULTS - what applications ask of RT's Perl API, one operation after the other.
#
# Customers are named by their place in the CSV file.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Desk qw(open_desk customers operation finish user next_second);

open_desk($ARGV[0] // die "operations.pl needs a file for the results\n");
use RT::Report::Tickets;
use RT::Search::Simple;
use RT::Interface::Email;
use RT::Interface::Web;

my $Root = user('root');
my ($Customers) = customers();
my ($First, $Second, $Third, $Fourth, $Fifth) = @$Customers;
my ($Part) = $Second->{customer_email} =~ /^(.{5})/;
my ($Domain) = $Second->{customer_email} =~ /\@(.*)/;
my ($Family) = $Second->{customer_name} =~ /(\S+)$/;
my $Digits = substr($Second->{customer_phone}, 0, 3);
my $Number = user($Second->{customer_email})->Id;

# shown USER: what RT says of a user.
sub shown {
  my ($user) = @_;
  return 'nobody' unless $user->Id;
  return join ' | ', map { $_ // '' } $user->Id, $user->Name, $user->EmailAddress, $user->RealName, $user->HomePhone, $user->WorkPhone,
    $user->MobilePhone, $user->PagerPhone;
}

sub loaded {
  my ($method, @values) = @_;
  my $user = RT::User->new($Root);
  $user->$method(@values);
  return shown($user);
}

sub by_email { my $user = RT::User->new($Root); $user->LoadByEmail($_[0]); return $user }

# users CODE: the users of a search that CODE narrows, in the order that it asks for, else by number.
sub users {
  my ($narrow) = @_;
  my $users = RT::Users->new($Root);
  $narrow->($users);
  my @found;
  while (my $user = $users->Next) { push @found, shown($user) }
  return [ scalar(@found) . ' users', @found ];
}

sub limited {
  my ($field, $operator, $value) = @_;
  return users(sub {
    $_[0]->Limit(FIELD => $field, OPERATOR => $operator, VALUE => $value, CASESENSITIVE => 0);
    $_[0]->OrderBy(FIELD => 'id');
  });
}

sub ordered {
  my ($field, $order) = @_;
  return users(sub {
    $_[0]->UnLimit;
    $_[0]->OrderByCols({ FIELD => $field, ORDER => $order }, { FIELD => 'id', ORDER => 'ASC' });
    $_[0]->RowsPerPage(15);
  });
}

sub completed {
  my (%arguments) = @_;
  return users(sub { $_[0]->SimpleSearch(Return => 'EmailAddress', Max => 20, %arguments); $_[0]->OrderBy(FIELD => 'id') });
}

# tickets QUERY: the numbers and requestors of what a query in RT's own language finds.
sub tickets {
  my ($query, @order) = @_;
  my $tickets = RT::Tickets->new($Root);
  my ($good, $message) = $tickets->FromSQL($query);
  return "refused: $message" unless $good;
  $tickets->OrderByCols(@order, { FIELD => 'id', ORDER => 'ASC' });
  $tickets->RowsPerPage(30);
  my @found;
  while (my $ticket = $tickets->Next) { push @found, $ticket->Id . ' ' . $ticket->RequestorAddresses }
  return [ $tickets->CountAll . ' tickets', @found ];
}

sub ticket { my $ticket = RT::Ticket->new($Root); $ticket->Load($_[0]); return $ticket }

sub people {
  my ($ticket) = @_;
  return join ' | ', $ticket->RequestorAddresses, $ticket->CcAddresses, $ticket->AdminCcAddresses, $ticket->OwnerObj->EmailAddress // '';
}

# saved USER, SETTER, VALUE: what RT answers, and the user as read again.
sub saved {
  my ($email, $setter, $value) = @_;
  my $user = by_email($email);
  return 'nobody' unless $user->Id;
  my ($done, $message) = $user->$setter($value);
  return [ $done ? 'done' : 'refused', $message, loaded('Load', $user->Id) ];
}

sub created {
  my (%fields) = @_;
  my $user = RT::User->new($Root);
  my ($id, $message) = $user->Create(%fields);
  return [ $id ? 'created' : 'refused', $message, $id ? loaded('Load', $id) : () ];
}

# mailed FROM, SUBJECT: what the mail gateway does with a message, and the ticket it made or changed.
sub mailed {
  my ($from, $subject) = @_;
  my $message = "From: $from\nTo: desk\@desk.example\nSubject: $subject\nMessage-ID: <" . ($subject =~ s/\W+/-/gr)
    . "\@customers.example>\nContent-Type: text/plain\n\nIt is broken again.\n";
  next_second();
  my ($status, $error, $ticket) = RT::Interface::Email::Gateway({ queue => 'General', action => 'correspond', message => $message });
  return [ "status $status", $ticket && $ticket->Id ? ($ticket->Id, $ticket->Subject, people(ticket($ticket->Id))) : 'no ticket' ];
}

sub opened {
  my ($requestor, $subject) = @_;
  my $ticket = RT::Ticket->new($Root);
  next_second();
  my ($id, undef, $message) = $ticket->Create(Queue => 'General', Requestor => $requestor, Subject => $subject);
  return [ $id ? 'created' : 'refused', $message, $id ? people(ticket($id)) : () ];
}

sub written {
  my ($method, $id) = @_;
  my $ticket = ticket($id);
  my ($done, $message) = $ticket->$method(Content => 'We look into it.');
  return [ $done ? 'done' : 'refused', $message ];
}

sub watcher {
  my ($method, $id, $type, $email) = @_;
  my $ticket = ticket($id);
  my ($done, $message) = $ticket->$method(Type => $type, Email => $email);
  return [ $done ? 'done' : 'refused', $message, people(ticket($id)) ];
}

sub chart {
  my ($group) = @_;
  my $report = RT::Report::Tickets->new($Root);
  my %columns = $report->SetupGroupings(Query => 'id > 0', GroupBy => [$group], Function => ['COUNT']);
  $report->SortEntries;
  my @rows;
  while (my $entry = $report->Next) { push @rows, join ' ', map { $entry->LabelValue($_) // '' } @{ $columns{Groups} }, @{ $columns{Functions} } }
  return [ scalar(@rows) . ' rows', sort @rows ];
}

sub history {
  my ($id) = @_;
  my $transactions = ticket($id)->Transactions;
  my @lines;
  while (my $transaction = $transactions->Next) {
    push @lines, join ' | ', $transaction->Type, $transaction->CreatorObj->FriendlyName, $transaction->BriefDescription, $transaction->Content;
  }
  return \@lines;
}

# ---- users: found
operation('user by number', sub { loaded(Load => $Number) });
operation('user by name', sub { loaded(Load => $Second->{customer_email}) });
operation('user by name, other case', sub { loaded(Load => uc $Second->{customer_email}) });
operation('user by address', sub { loaded(LoadByEmail => $Second->{customer_email}) });
operation('user by address, other case', sub { loaded(LoadByEmail => ucfirst $Second->{customer_email}) });
operation('user by unknown address', sub { loaded(LoadByEmail => 'nobody.at.all@example.com') });
operation('user by half an address', sub { loaded(LoadByEmail => $Part) });
operation('load or create, known address', sub { loaded(LoadOrCreateByEmail => $Third->{customer_email}) });
operation('load or create, new address', sub { loaded(LoadOrCreateByEmail => 'Nora New <nora.new@example.org>') });
operation('users: address is', sub { limited(EmailAddress => '=', $Second->{customer_email}) });
operation('users: address LIKE', sub { limited(EmailAddress => 'LIKE', $Part) });
operation('users: address NOT LIKE', sub { limited(EmailAddress => 'NOT LIKE', 'example') });
operation('users: address STARTSWITH', sub { limited(EmailAddress => 'STARTSWITH', $Part) });
operation('users: address ENDSWITH', sub { limited(EmailAddress => 'ENDSWITH', 'desk.example') });
operation('users: address is empty', sub { limited(EmailAddress => '=', '') });
operation('users: real name is', sub { limited(RealName => '=', lc $Second->{customer_name}) });
operation('users: real name LIKE', sub { limited(RealName => 'LIKE', lc $Family) });
operation('users: phone LIKE', sub { limited(WorkPhone => 'LIKE', $Digits) });
operation('users: phone is', sub { limited(WorkPhone => '=', $Second->{customer_phone}) });
operation('users: mobile phone IS NOT NULL', sub { limited(MobilePhone => 'IS NOT', 'NULL') });
operation('autocomplete an address', sub { completed(Term => $Part) });
operation('autocomplete a name', sub { completed(Term => lc $Family, Fields => { RealName => 'LIKE' }) });
operation('autocomplete, exclude', sub { completed(Term => $Part, Exclude => [ 1, $Number ]) });
operation('autocomplete staff', sub { completed(Term => 'a', Privileged => 1) });
operation('users ordered by name', sub { ordered(Name => 'ASC') });
operation('users ordered by real name', sub { ordered(RealName => 'ASC') });
operation('users ordered by address', sub { ordered(EmailAddress => 'DESC') });
operation('privileged users', sub { users(sub { $_[0]->LimitToPrivileged; $_[0]->OrderBy(FIELD => 'id') }) });
operation('who may own tickets', sub {
  [ sort @{ users(sub { $_[0]->WhoHaveRight(Right => 'OwnTicket', Object => ticket(1)->QueueObj, IncludeSuperusers => 1) }) } ];
});
operation('number of users', sub { my $users = RT::Users->new($Root); $users->UnLimit; $users->Count });
operation('user as shown on pages', sub { by_email($First->{customer_email})->Format });

# ---- users: made and changed
operation('create a user', sub {
  created(Name => 'olga', EmailAddress => 'Olga.Oak@Example.org', RealName => 'Olga Oak', WorkPhone => '202-555-0147', HomePhone => '(202) 555 0148');
});
operation('create a user with empty fields', sub {
  created(Name => 'paul', EmailAddress => 'paul@example.org', RealName => '', WorkPhone => '', MobilePhone => '', HomePhone => '', PagerPhone => '');
});
operation('create a user without an address', sub { created(Name => 'robot', EmailAddress => '', RealName => 'Robot') });
operation('create a user with an address in use', sub { created(Name => 'twin', EmailAddress => uc $Second->{customer_email}) });
operation('create a user with a phone in words', sub { created(Name => 'zed', EmailAddress => 'zed@example.org', WorkPhone => 'ask for Zed, x12') });
operation('set an address', sub { saved($Third->{customer_email}, SetEmailAddress => 'third.new@example.org') });
operation('set an address in use', sub { saved($Fourth->{customer_email}, SetEmailAddress => $Second->{customer_email}) });
operation('set a real name', sub { saved($Fourth->{customer_email}, SetRealName => "Renamed O'Fourth") });
operation('set a phone', sub { saved($Fourth->{customer_email}, SetWorkPhone => '+44 20 7946 0123') });
operation('empty a phone', sub { saved($Second->{customer_email}, SetWorkPhone => '') });
operation('empty a real name', sub { saved($Fourth->{customer_email}, SetRealName => '') });
operation('reset a password', sub { my ($done, $message) = by_email($Fifth->{customer_email})->ResetPassword; [ $done, $message ] });

# ---- tickets
operation('people of a ticket', sub { people(ticket(2)) });
operation('history of a ticket', sub { history(2) });
operation('create a ticket, known requestor', sub { opened($Second->{customer_email}, 'Known') });
operation('create a ticket, new requestor', sub { opened('Quentin Quick <quentin@example.net>', 'New') });
operation('add a watcher', sub { watcher(AddWatcher => 3, Cc => $Second->{customer_email}) });
operation('delete a watcher', sub { watcher(DeleteWatcher => 3, Cc => $Second->{customer_email}) });
operation('correspond', sub { written(Correspond => 5) });
operation('comment', sub { written(Comment => 5) });
operation('tickets: requestor is', sub { tickets("Requestor.EmailAddress = '$Second->{customer_email}'") });
operation('tickets: requestor LIKE', sub { tickets("Requestor.EmailAddress LIKE '$Part'") });
operation('tickets: requestor STARTSWITH', sub { tickets("Requestor.EmailAddress STARTSWITH '$Part'") });
operation('tickets: requestor ENDSWITH', sub { tickets("Requestor ENDSWITH '\@$Domain'") });
operation('tickets: requestor NOT LIKE', sub { tickets("Requestor.EmailAddress NOT LIKE '$Part'") });
operation('tickets: real name LIKE', sub { tickets("Requestor.RealName LIKE '" . lc($Family) . "'") });
operation('tickets: phone LIKE', sub { tickets("Requestor.WorkPhone LIKE '$Digits'") });
operation('tickets: watcher LIKE', sub { tickets("Watcher.EmailAddress LIKE '$Part'") });
operation('tickets: requestor by name', sub { tickets("Requestor.Name = '$Second->{customer_email}'") });
operation('tickets: quick search', sub {
  my $tickets = RT::Tickets->new($Root);
  tickets(RT::Search::Simple->new(Argument => $Second->{customer_email}, TicketsObj => $tickets)->QueryToSQL);
});
operation('tickets ordered by requestor', sub { tickets('id < 40', { FIELD => 'Requestor.EmailAddress', ORDER => 'ASC' }) });
operation('chart by requestor', sub { chart('Requestor.Name') });
operation('chart by owner', sub { chart('Owner.Name') });
operation('mail from a customer', sub { mailed("$Second->{customer_name} <$Second->{customer_email}>", 'From a customer') });
operation('mail from a stranger', sub { mailed('Stranger <stranger@example.net>', 'From a stranger') });
operation('mail from staff', sub { mailed('anna@desk.example', 'From staff') });
operation('mail as an answer', sub { mailed($Second->{customer_email}, 'Re: [desk.example #2] again') });
operation('merge tickets', sub {
  my ($done, $message) = ticket(7)->MergeInto(8);
  [ $done ? 'done' : 'refused', $message, people(ticket(8)) ];
});

finish();
