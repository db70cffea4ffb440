# requests.pl RESULTS - what browsers, the mail gateway and programs ask of RT's web pages, one request after the other.
#
# The pages are those of the installed server, called inside of this process: there is no port.  A result is the status and
# the text of the page; where it is a redirection, also those of the page that it leads to.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Desk qw(open_desk customers operation finish user next_second);
use HTTP::Cookies;
use HTTP::Request::Common qw(GET POST);
use MIME::Base64 qw(encode_base64);
use Plack::Test;

open_desk($ARGV[0] // die "requests.pl needs a file for the results\n");
require RT::PlackRunner;
$Plack::Test::Impl = 'MockHTTP';
my $Server = Plack::Test->create(RT::PlackRunner->app);

my ($Customers) = customers();
my ($First, $Second, $Third, $Fourth) = @$Customers;
my ($Part) = $Second->{customer_email} =~ /^(.{5})/;
my ($Family) = $Second->{customer_name} =~ /(\S+)$/;
my $Digits = substr($Second->{customer_phone}, 0, 3);
my ($Known, $Other) = map { my $user = RT::User->new(RT->SystemUser); $user->Load($_); $user->Id } $Second->{customer_email}, $Fourth->{customer_email};

our $Cookies = HTTP::Cookies->new;

# page TEXT: a page without what differs from run to run, one tag a line.
sub page {
  my ($text) = @_;
  for ($text) {
    s/Time to display: [\d.]+//g;
    s{/NoAuth/(?:rss|iCal)/\w+/\K[0-9a-f]+}{KEY}g;
    s/(?<=CSRF_Token=)[0-9a-f]+|(?<=name="CSRF_Token" value=")[^"]+/TOKEN/g;
    s/(?:current-cf-values|collection|history|titlebox|users?|TitleBox|principal|tree|select|chart|id|_)[-_]*\K\d{5,}\w*/RANDOM/g;
    s{<li id="li-search-tickets-recent-\d+">.*?</li>}{}gs;  # a menu of the tickets that earlier requests looked at
    s/>\s*</>\n</g;
  }
  return $text;
}

sub send_request {
  my ($request) = @_;
  $request->header(Referer => 'http://localhost/');
  $request->header(Host => 'localhost');
  $Cookies->add_cookie_header($request);
  my $answer = $Server->request($request);
  $answer->request($request);
  $Cookies->extract_cookies($answer);
  my $text = $answer->decoded_content(charset => 'none') // '';
  utf8::decode($text);
  my $next = $answer->header('Location');
  return [ 'status ' . $answer->code, page($text), $next && $request->method ne 'GET' ? ("location $next", send_request(GET($next))) : () ];
}

sub get { return send_request(GET('http://localhost' . join '', @_)) }
sub submit { my ($path, @fields) = @_; return send_request(POST("http://localhost$path", [@fields])) }

# query PATH, FIELDS: PATH with fields as a browser writes them.
sub query { my ($path, @fields) = @_; my $address = URI->new($path); $address->query_form(@fields); return "$address" }

sub log_in {
  my ($name, $password) = @_;
  $Cookies = HTTP::Cookies->new;
  return submit('/NoAuth/Login.html', user => $name, pass => $password);
}

sub rest2 {
  my ($method, $path, $content) = @_;
  my $request = HTTP::Request->new($method, "http://localhost/REST/2.0$path");
  $request->header(Authorization => 'Basic ' . encode_base64('root:password', ''));
  if (defined $content) { $request->header('Content-Type' => 'application/json'); $request->content($content) }
  local $Cookies = HTTP::Cookies->new;
  return send_request($request);
}

sub gateway {
  my ($from, $subject) = @_;
  my $message = "From: $from\nTo: desk\@desk.example\nSubject: $subject\nMessage-ID: <web-" . ($subject =~ s/\W+/-/gr)
    . "\@customers.example>\nContent-Type: text/plain\n\nSent to the gateway.\n";
  local $Cookies = HTTP::Cookies->new;
  next_second();
  return submit('/REST/1.0/NoAuth/mail-gateway', queue => 'General', action => 'correspond', SessionType => 'REST', message => $message);
}

# The first page compiles all pages, and fills what RT remembers in a process.
get('/');

operation('page: log in', sub { log_in(root => 'password') });
operation('page: home', sub { get('/') });
operation('page: ticket', sub { get('/Ticket/Display.html?id=12') });
operation('page: ticket history', sub { get('/Helpers/TicketHistory?id=12') });
operation('page: ticket, all of it', sub { get('/Ticket/History.html?id=12') });
operation('page: ticket people', sub { get('/Ticket/ModifyPeople.html?id=12') });
operation('page: ticket people, found by address', sub {
  get(query('/Ticket/ModifyPeople.html', id => 12, UserField => 'EmailAddress', UserOp => 'LIKE', UserString => $Part));
});
operation('page: ticket people, found by name', sub {
  get(query('/Ticket/ModifyPeople.html', id => 12, UserField => 'RealName', UserOp => 'LIKE', UserString => $Family));
});
operation('page: ticket people saved', sub {
  submit('/Ticket/ModifyPeople.html', id => 12, WatcherTypeEmail1 => 'Cc', WatcherAddressEmail1 => $Third->{customer_email}, SubmitTicket => 1);
});
operation('page: everything of a ticket', sub { get('/Ticket/ModifyAll.html?id=12') });
operation('page: answer', sub { get('/Ticket/Update.html?id=12&Action=Respond') });
operation('page: whom an answer reaches', sub { submit('/Helpers/PreviewScrips', id => 12, UpdateType => 'response', UpdateContent => 'x') });
operation('page: answer sent', sub {
  submit('/Ticket/Update.html', id => 12, Action => 'Respond', UpdateType => 'response', UpdateSubject => 'Answer', UpdateContent => 'We look into it.',
    SubmitTicket => 1);
});
operation('page: new ticket', sub { get('/Ticket/Create.html?Queue=1') });
operation('page: new ticket saved', sub {
  next_second();
  submit('/Ticket/Create.html', id => 'new', Queue => 1, Requestors => $Second->{customer_email}, Subject => 'Made on a page', Content => 'Body',
    Status => 'new', Owner => 10, SubmitTicket => 1);
});
operation('page: merge', sub { submit('/Ticket/ModifyLinks.html', id => 14, '14-MergeInto' => 15, SubmitTicket => 1) });
operation('page: tickets', sub { get(query('/Search/Results.html', Query => 'id < 60', Rows => 50)) });
operation('page: tickets of a requestor', sub { get(query('/Search/Results.html', Query => "Requestor.EmailAddress LIKE '$Part'")) });
operation('page: tickets without a requestor', sub { get(query('/Search/Results.html', Query => "Requestor.EmailAddress NOT LIKE '$Part'", Rows => 20)) });
operation('page: tickets by requestor', sub {
  get(query('/Search/Results.html', Query => 'id < 40', OrderBy => 'Requestor.EmailAddress', Order => 'ASC',
    Format => q{'__id__','__Subject__','__Requestors__','__Requestors.RealName__'}));
});
operation('page: tickets as a table', sub {
  get(query('/Search/Results.tsv', Query => 'id < 100', Format => q{'__id__','__Subject__','__Requestors__','__OwnerName__'}));
});
operation('page: quick search, address', sub { get(query('/Search/Simple.html', q => $Second->{customer_email})) });
operation('page: quick search, word', sub { get(query('/Search/Simple.html', q => 'setup')) });
operation('page: query builder', sub { get(query('/Search/Build.html', Query => "Requestor.EmailAddress LIKE '$Part'")) });
operation('page: bulk update', sub { get(query('/Search/Bulk.html', Query => 'id < 10')) });
operation('page: chart by requestor', sub {
  get(query('/Search/Chart.html', Query => 'id < 100', GroupBy => 'Requestor.Name', ChartFunction => 'COUNT'));
});
operation('page: user search', sub { get(query('/User/Search.html', UserString => $Part)) });
operation('page: user', sub { get("/User/Summary.html?id=$Known") });
operation('page: user history', sub { get("/User/History.html?id=$Known") });
operation('page: data of a user', sub { get("/User/RelatedData.tsv?PrincipalId=$Known&Type=User") });
operation('page: what a name shows', sub { get("/Helpers/UserInfo?id=$Known") });
operation('page: user admin', sub { get('/Admin/Users/') });
operation('page: user admin, address LIKE', sub {
  get(query('/Admin/Users/index.html', UserField => 'EmailAddress', UserOp => 'LIKE', UserString => $Part, FindDisabledUsers => 0));
});
operation('page: user admin, phone LIKE', sub {
  get(query('/Admin/Users/index.html', UserField => 'WorkPhone', UserOp => 'LIKE', UserString => $Digits));
});
operation('page: user form', sub { get("/Admin/Users/Modify.html?id=$Other") });
operation('page: user saved with empty fields', sub {
  submit('/Admin/Users/Modify.html', id => $Other, SetEnabled => 1, Enabled => 1, Name => $Fourth->{customer_email}, EmailAddress => $Fourth->{customer_email},
    RealName => 'Saved Onapage', HomePhone => '', WorkPhone => '', MobilePhone => '', PagerPhone => '', save => 1);
});
operation('page: user made with empty fields', sub {
  submit('/Admin/Users/Modify.html', id => 'new', Create => 1, SetEnabled => 1, Enabled => 1, Name => 'made.on.page', EmailAddress => 'made@example.org',
    RealName => '', HomePhone => '', WorkPhone => '', MobilePhone => '', PagerPhone => '', Pass1 => '', Pass2 => '', save => 1);
});
operation('page: members of a group', sub { get('/Admin/Users/Memberships.html?id=' . $Known) });
operation('page: about me', sub { get('/Prefs/AboutMe.html') });
operation('page: complete an address', sub { get(query('/Helpers/Autocomplete/Users', return => 'EmailAddress', term => $Part)) });
operation('page: complete several addresses', sub {
  get(query('/Helpers/Autocomplete/Users', return => 'EmailAddress', delim => ',', term => "$First->{customer_email}, $Part"));
});
operation('page: complete an owner', sub { get(query('/Helpers/Autocomplete/Owners', return => 'Name', term => 'ann', limit => 'RT::Queue-1')) });
operation('page: complete a principal', sub { get(query('/Helpers/Autocomplete/Principals', return => 'Name', term => $Part)) });
operation('gateway: mail from a customer', sub { gateway($Second->{customer_email}, 'Gateway customer') });
operation('gateway: mail from a stranger', sub { gateway('other.stranger@example.net', 'Gateway stranger') });
operation('gateway: answer', sub { gateway($Second->{customer_email}, 'Re: [desk.example #2] gateway') });
operation('REST 1: tickets of a requestor', sub {
  get(query('/REST/1.0/search/ticket', query => "Requestor.EmailAddress = '$Second->{customer_email}'", format => 's'));
});
operation('REST 1: user', sub { get("/REST/1.0/user/$Known/show") });
operation('REST 1: ticket', sub { get('/REST/1.0/ticket/2/show') });
operation('REST 2: ticket', sub { rest2(GET => '/ticket/2') });
operation('REST 2: user', sub { rest2(GET => "/user/$Known") });
operation('REST 2: tickets of a requestor', sub { rest2(GET => query('/tickets', query => "Requestor.EmailAddress = '$Second->{customer_email}'", fields => 'Requestor,Subject')) });
operation('REST 2: users with an address', sub {
  rest2(POST => '/users?fields=EmailAddress,RealName', qq([{"field":"EmailAddress","operator":"LIKE","value":"$Part"}]));
});
operation('REST 2: new ticket', sub {
  next_second();
  rest2(POST => '/ticket', qq({"Queue":"General","Subject":"By REST","Requestor":"$Second->{customer_email}","Content":"x","ContentType":"text/plain"}));
});
operation('REST 2: user changed', sub { rest2(PUT => "/user/$Other", '{"RealName":"By REST","MobilePhone":""}') });
operation('self service: log in', sub { log_in($First->{customer_email} => 'secret-of-customer') });
operation('self service: home', sub { get('/SelfService/') });
operation('self service: ticket', sub { get('/SelfService/Display.html?id=1') });
operation('self service: about me', sub { get('/SelfService/Prefs.html') });

finish();
