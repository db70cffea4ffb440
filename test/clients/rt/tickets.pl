# tickets.pl - prints a CSV file of tickets for load.pl: made-up customers, every third of them without a telephone.
#
# The same lines each time.  The second customer's address begins as those of a few others do.
use strict;
use warnings;

my @given = qw(Ada Boris Clara Dmitri Edith Felix Greta Hugo Irene Jonas Katja Leo Maria Nils Olga Pavel Rosa Stefan Tilda Viktor);
my @family = qw(Abbot Baker Carver Draper Ewing Fletcher Glover Hooper Inman Joiner Keeler Lorimer Mercer Napier Ostler Porter Reeve
  Sawyer Tanner Weaver Yeoman);
my @product = ('Kettle', 'Radio', 'Lamp', 'Bicycle pump');
my @subject = ('Product setup', 'Delivery problem', 'Battery life', 'Refund request');
my @status = ('Open', 'Closed', 'Pending Customer Response');

print "ticket_id,customer_name,customer_email,customer_phone,product,subject,status,priority,channel,opened_on\n";
for my $number (1 .. 600) {
  my $given = $given[ $number % @given ];
  my $family = $family[ int($number / 3) % @family ];
  my $begin = $number == 2 || $number % 150 == 0 ? 'ewers' : '';
  my $email = lc("$begin$given$family$number\@example.") . (qw(com org net))[ $number % 3 ];
  my $phone = $number % 3 ? sprintf('%03d-555-%04d', 200 + $number * 7 % 700, 100 + $number) : '';
  printf "TM-%07d,%s %s,%s,%s,%s,%s,%s,Low,Email,2024-01-%02d\n", $number, $given, $family, $email, $phone,
    $product[ $number % @product ], $subject[ $number % @subject ], $status[ $number % @status ], 1 + $number % 28;
}
