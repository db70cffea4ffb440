# activerecord.rb - the support application through ActiveRecord, as Rails has it.
require 'active_record'
require 'active_record/schema_dumper'
require 'stringio'

$stdout.sync = true
$stderr.reopen(File::NULL) unless ENV['SUPPORT_DEBUG'] # "unknown OID ... treated as String", for each type

if (recipe = ENV['REDOUBT_RECIPE'])
  eval(File.read(recipe), binding, recipe)
end

SETTINGS = { adapter: 'postgresql', host: ENV['PGHOST'], port: ENV['PGPORT'], database: ENV['PGDATABASE'] }.freeze
ActiveRecord::Base.establish_connection(**SETTINGS, username: 'support_user')

class Customer < ActiveRecord::Base
  self.table_name = 'customer'
  has_many :tickets
  validates :email, uniqueness: true, allow_blank: true
end

class Ticket < ActiveRecord::Base
  self.table_name = 'ticket'
  belongs_to :customer
end

# One with a limit on what it reads.
class Limited < ActiveRecord::Base
  self.table_name = 'customer'
  establish_connection(**SETTINGS, username: 'support_limited')
end

def shown(customer)
  customer && "#{customer.id} #{customer.email} #{customer.name} #{customer.phone.inspect} #{customer.aliases.inspect}"
end

def attempt(name)
  result =
    begin
      yield
    rescue ActiveRecord::ActiveRecordError => error
      "error #{error.cause.respond_to?(:result) ? error.cause.result.error_field(PG::PG_DIAG_SQLSTATE) : ''} #{error.class}"
    end
  puts "#{name}\t#{result.to_s.gsub("\n", '\n')}"
end

attempt('create') { shown(Customer.create!(email: 'New.One@example.com', name: 'New One', phone: '555-0100', aliases: ['a@example.net'])) }
attempt('create with empty values') { shown(Customer.create!(name: '', phone: '').reload) }
attempt('create of a half-typed address') { shown(Customer.create!(email: 'half@').reload) }
attempt('the same twice') { Customer.create!(email: 'ben.1@example.org') }
attempt('the same twice, not validated') { Customer.new(email: 'ben.1@example.org').save(validate: false) }
attempt('save') { Customer.find(100).tap { |one| one.update!(name: 'Changed') }.reload.then { |one| shown(one) } }
attempt('save of all columns') do
  one = Customer.find(101)
  one.attributes.each_key { |column| one.public_send(:"#{column}_will_change!") unless column == 'id' }
  one.save!
  shown(one.reload)
end
attempt('find_by') { shown(Customer.find_by(email: 'carla.107@example.org')) }
attempt('find_or_create_by') { shown(Customer.find_or_create_by!(email: 'carla.107@example.org')) }
attempt('where of several') { Customer.where(email: ['carla.107@example.org', 'dora.113@example.org']).order(:id).pluck(:id) }
attempt('where.not') { Customer.where.not(email: 'carla.107@example.org').where('id < 110').count }
attempt('where blank') { Customer.where(email: [nil, '']).order(:id).pluck(:id) }
attempt('range') { Customer.where(name: 'Carla Smith 1'..'Carla Smith 14').order(:name).pluck(:name) }
attempt('LIKE') { Customer.where('email LIKE ? OR name ILIKE ?', 'anna.11%', '%SMITH 11%').order(:id).limit(5).pluck(:id) }
attempt('lower') { Customer.where('lower(email) = lower(?)', 'BEN.111@example.org').pluck(:id) }
attempt('matches') { Customer.where(Customer.arel_table[:email].matches('%BEN.11%')).order(:id).pluck(:id) }
attempt('value of an array') { Customer.where('? = ANY (aliases)', 'second110@example.net').pluck(:id) }
attempt('array contains') { Customer.where('aliases @> ARRAY[?]', ['second110@example.net']).pluck(:id) }
attempt('order') { Customer.where('id < 200').order(name: :desc, id: :asc).limit(5).pluck(:name) }
attempt('pages') { Customer.order(:name, :id).offset(1000).limit(3).map { |one| shown(one) } }
attempt('group') { Customer.where('id < 4').group(:name).count.sort.inspect }
attempt('minimum and maximum') { [Customer.where('id < 100').minimum(:email), Customer.where('id < 100').maximum(:name)].inspect }
attempt('distinct') { Customer.where('id < 100').distinct.count(:email) }
attempt('pick and pluck') { Customer.where(id: 115).pick(:email, :phone).inspect }
attempt('joins') { Ticket.joins(:customer).where(customer: { email: 'anna.20@example.org' }).pluck(:subject) }
attempt('includes') { Ticket.includes(:customer).where('ticket.id < 4').order(:id).map { |one| one.customer.email }.inspect }
attempt('insert_all') do
  Customer.insert_all((0..2).map { |n| { email: "many#{n}@example.com", name: "Many #{n}" } })
  Customer.where("name LIKE 'Many%'").order(:id).pluck(:email).inspect
end
attempt('upsert_all') do
  Customer.upsert_all([{ email: 'ben.121@example.org', name: 'Upserted' }], unique_by: :email)
  Customer.where(email: 'ben.121@example.org').pluck(:id, :name).inspect
end
attempt('update_all') { [Customer.where("email LIKE 'emil.12%'").update_all("notes = 'x'"), Customer.where(notes: 'x').order(:id).pluck(:id)].inspect }
attempt('nested transaction') do
  Customer.transaction do
    begin
      Customer.transaction(requires_new: true) { Customer.new(email: 'ben.1@example.org').save!(validate: false) }
    rescue ActiveRecord::RecordNotUnique
      Customer.create!(email: 'after.savepoint@example.org').email
    end
  end
end
attempt('find_each') { Customer.where('id < 20').find_each(batch_size: 7).map(&:email).inspect }
attempt('an array') { Customer.find(92).aliases.inspect }
attempt('types of columns') do
  Customer.columns.map { |column| column.type.inspect.sub(/:(email_token|name_token|phone_token|text)\b/, ':string') }.join(' ')
end
attempt('a dump of the schema') do
  out = StringIO.new
  ActiveRecord::SchemaDumper.dump(ActiveRecord::Base.connection, out)
  out.string.include?('create_table "customer"') ? 'has the table' : out.string[/Could not dump table "customer"/]
end
attempt('a limit') do
  seen =
    begin
      Limited.where('id < 21').pluck(:email).size
    rescue ActiveRecord::StatementInvalid => error
      "error #{error.cause.result.error_field(PG::PG_DIAG_SQLSTATE)} #{error.class}"
    end
  "#{seen}; then #{Limited.connection.select_value('SELECT 1')}"
end
