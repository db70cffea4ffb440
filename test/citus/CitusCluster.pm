# CitusCluster.pm - a coordinator and workers with Citus and Redoubt, on one machine.
#
# Nodes reach each other through Unix sockets, where the operating system says who they are (peer); clients come by
# TCP on 127.0.0.1.  So a connection between nodes has an identity that no client has, as certificates give it where
# there are several machines.  Keys and grants are on the coordinator alone.
package CitusCluster;

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file);
use Test::More;

my @roles = qw(regress_lead regress_agent regress_clerk);

# make WORKERS, LIBRARIES: a running cluster.  Every statement that a worker is sent is in its log.
sub make {
  my ($class, $workers, $libraries) = @_;
  my $self = bless { libraries => $libraries, workers => [] }, $class;
  $self->{coordinator} = $self->node('coordinator');
  $self->{coordinator}->admin("SELECT citus_set_coordinator_host('" . $self->{coordinator}->host . "', " . $self->{coordinator}->port . ')');
  $self->add($self->node("worker$_")) for 1 .. $workers;
  return $self;
}

# node NAME: a server with Citus that is no part of the cluster yet.
sub node {
  my ($self, $name) = @_;
  my $node = RedoubtNode->new($name);
  my $user = getpwuid $>;
  $node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
  $node->append_conf('postgresql.conf', join("\n",
    "shared_preload_libraries = '$self->{libraries}'", "redoubt.kek_file = '" . $node->new_kek('kek') . "'",
    "listen_addresses = '127.0.0.1'", 'wal_level = logical', 'max_prepared_transactions = 40', 'max_connections = 60',
    'max_wal_senders = 10', 'max_replication_slots = 10', 'max_worker_processes = 24',
    "redoubt.node_identities = 'peer:$user'", 'citus.shard_count = 4', "citus.node_conninfo = 'sslmode=disable'",
    "citus.local_hostname = '" . $node->host . "'", 'log_replication_commands = off',
    'log_statement = ' . ($name eq 'coordinator' ? 'none' : 'all')));
  write_file($node->data_dir . '/pg_hba.conf', "local all all peer map=nodes\nlocal replication all peer map=nodes\nhost all all 127.0.0.1/32 trust\n");
  write_file($node->data_dir . '/pg_ident.conf', join '', map { "nodes $user $_\n" } $user, @roles);
  $node->start;
  $node->admin('CREATE EXTENSION citus');
  return $node;
}

# add NODE: what a DBA does to have one more worker.
sub add {
  my ($self, $node) = @_;
  push @{ $self->{workers} }, $node;
  $self->{coordinator}->admin("SELECT citus_add_node('" . $node->host . "', " . $node->port . ')');
  return $node;
}

sub coordinator { return $_[0]->{coordinator} }
sub workers { return @{ $_[0]->{workers} } }
sub nodes { return ($_[0]->coordinator, $_[0]->workers) }

# try ROLE, SQL, [node => NODE, application => NAME]: status, output and errors of a client.
sub try {
  my ($self, $role, $sql, %options) = @_;
  my $node = $options{node} // $self->coordinator;
  my ($out, $err) = ('', '');
  my $connection = 'host=127.0.0.1 port=' . $node->port . " user=$role dbname=postgres";
  $connection .= " application_name='$options{application}'" if defined $options{application};
  my $status = $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 1, connstr => $connection,
    extra_params => [ '-v', 'VERBOSITY=verbose' ]);
  return ($status, $out, $err);
}

# ask ROLE, SQL, ...: the output; an error fails the test.
sub ask {
  my ($self, $role, $sql, %options) = @_;
  my ($status, $out, $err) = $self->try($role, $sql, %options);
  diag("$sql\n$err") if $status != 0;
  return $status == 0 ? $out : "error: $err";
}

# fails_with ROLE, SQL, SQLSTATE, PATTERN, TITLE
sub fails_with {
  my ($self, $role, $sql, $sqlstate, $pattern, $title, %options) = @_;
  my ($status, $out, $err) = $self->try($role, $sql, %options);
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  my ($got) = $err =~ /ERROR:  (\w{5}):/;
  my $ok = ok($status != 0 && ($got // '') eq $sqlstate && $err =~ $pattern, $title);
  diag("psql returned $status, printed \"$out\" and reported:\n$err") unless $ok;
  return;
}

# charged NODE, ROLE: what has been charged there, by operation.
sub charged {
  my ($self, $node, $role) = @_;
  my %charged = map { split /\|/ } split /\n/,
    $node->admin("SELECT operation, sum(charged) FROM redoubt.usage WHERE role_name = '$role' AND charged > 0 GROUP BY 1");
  return \%charged;
}

# cost ROLE, SQL: the answer, and what it cost: "operation=values" of the coordinator, and of workers with their names.
sub cost {
  my ($self, $role, $sql, %options) = @_;
  my %before = map { $_->name => $self->charged($_, $role) } $self->nodes;
  my $answer = $self->ask($role, $sql, %options);
  my %all;
  for my $node ($self->nodes) {
    my $after = $self->charged($node, $role);
    my $on = $node == $self->coordinator ? '' : $node->name . ' ';
    for my $operation (sort keys %{$after}) {
      my $more = $after->{$operation} - ($before{ $node->name }{$operation} // 0);
      $all{"$on$operation"} = $more if $more != 0;
    }
  }
  return ($answer, join(' ', map { "$_=$all{$_}" } sort keys %all));
}

# costs ROLE, SQL, EXPECTED, TITLE: the answer, after a test of what it cost.
sub costs {
  my ($self, $role, $sql, $expected, $title, %options) = @_;
  my ($answer, $cost) = $self->cost($role, $sql, %options);
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($cost, $expected, $title);
  return $answer;
}

# costs_as_here ROLE, SQL, EXPECTED, TITLE: the same, and that tables of the same contents that are not distributed, in
# schema here, give the same rows and do not cost more.
sub costs_as_here {
  my ($self, $role, $sql, $expected, $title) = @_;
  my ($answer, $cost) = $self->cost($role, $sql);
  my ($same, $least) = $self->cost($role, "SET search_path = here, public, redoubt; $sql");
  my $sum = sub { my $all = 0; $all += $1 while $_[0] =~ /=(\d+)/g; return $all };
  my $sorted = sub { return join "\n", sort split /\n/, $_[0] };
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  is($cost, $expected, "$title: $expected");
  ok($sum->($cost) >= $sum->($least), "$title: not less than without Citus") or diag "$cost; without $least";
  is($sorted->($answer), $sorted->($same), "$title: the same rows") if $answer !~ /\btok_|\{|,/;
  return $answer;
}

1;
