// Hibernate.java - the support application through Hibernate: its own interface (Session, HQL, Criteria) and JPA's.
import java.io.PrintStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.EntityManager;
import javax.persistence.EntityManagerFactory;
import javax.persistence.FetchType;
import javax.persistence.GeneratedValue;
import javax.persistence.GenerationType;
import javax.persistence.Id;
import javax.persistence.JoinColumn;
import javax.persistence.ManyToOne;
import javax.persistence.SequenceGenerator;
import javax.persistence.Table;
import javax.persistence.criteria.CriteriaBuilder;
import javax.persistence.criteria.CriteriaQuery;
import javax.persistence.criteria.Root;
import org.hibernate.LockOptions;
import org.hibernate.ScrollableResults;
import org.hibernate.Session;
import org.hibernate.StatelessSession;
import org.hibernate.Transaction;
import org.hibernate.annotations.Type;
import org.hibernate.criterion.Example;
import org.hibernate.criterion.MatchMode;
import org.hibernate.criterion.Order;
import org.hibernate.criterion.Projections;
import org.hibernate.criterion.Restrictions;
import org.hibernate.ejb.Ejb3Configuration;
import org.hibernate.tool.hbm2ddl.SchemaValidator;
import org.hibernate.usertype.UserType;

public class Hibernate {
  static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

  // Hibernate has no type for arrays, and an application one of its own.
  public static class Texts implements UserType {
    public int[] sqlTypes() { return new int[] {Types.ARRAY}; }
    public Class<?> returnedClass() { return String[].class; }
    public boolean equals(Object a, Object b) { return Arrays.equals((String[]) a, (String[]) b); }
    public int hashCode(Object value) { return Arrays.hashCode((String[]) value); }
    String[] values(Array read) throws SQLException { return (String[]) read.getArray(); }
    public Object nullSafeGet(ResultSet row, String[] names, Object owner) throws SQLException {
      Array value = row.getArray(names[0]);
      return value == null ? null : values(value);
    }
    public void nullSafeSet(PreparedStatement statement, Object value, int at) throws SQLException {
      if (value == null) statement.setNull(at, Types.ARRAY);
      else statement.setArray(at, statement.getConnection().createArrayOf("text", (String[]) value));
    }
    public Object deepCopy(Object value) { return value == null ? null : ((String[]) value).clone(); }
    public boolean isMutable() { return true; }
    public Serializable disassemble(Object value) { return (Serializable) deepCopy(value); }
    public Object assemble(Serializable cached, Object owner) { return deepCopy(cached); }
    public Object replace(Object original, Object target, Object owner) { return deepCopy(original); }
  }

  // The same, whatever class the driver makes of an element.
  public static class EachText extends Texts {
    @Override String[] values(Array read) throws SQLException {
      return Stream.of((Object[]) read.getArray()).map(String::valueOf).toArray(String[]::new);
    }
  }

  @Entity(name = "Customer")
  @Table(name = "customer")
  public static class Customer {
    @Id
    @GeneratedValue(strategy = GenerationType.SEQUENCE, generator = "ids")
    @SequenceGenerator(name = "ids", sequenceName = "customer_id_seq", allocationSize = 1)
    Long id;
    @Column(unique = true) String email;
    @Column(length = 80, nullable = false) String name = "";
    String phone;
    String notes;
    int edits;

    Customer() {}
    Customer(String email, String name) { this.email = email; this.name = name; }
    @Override public String toString() { return String.join(" | ", "" + id, email, name, phone, notes); }
  }

  @Entity(name = "Reachable")
  @Table(name = "customer")
  public static class Reachable {
    @Id Long id;
    @Type(type = "Hibernate$Texts") String[] aliases;
  }

  @Entity(name = "ReachableByEach")
  @Table(name = "customer")
  public static class ReachableByEach {
    @Id Long id;
    @Type(type = "Hibernate$EachText") String[] aliases;
  }

  // Only what has changed is written.
  @Entity(name = "Edited")
  @Table(name = "customer")
  @org.hibernate.annotations.Entity(dynamicUpdate = true)
  public static class Edited {
    @Id Long id;
    String email;
    String name;
    String notes;
  }

  // The columns are declared as what they are.
  @Entity(name = "Declared")
  @Table(name = "customer")
  public static class Declared {
    @Id Long id;
    @Column(columnDefinition = "email_token") String email;
    @Column(columnDefinition = "name_token") String name;
  }

  @Entity(name = "Ticket")
  @Table(name = "ticket")
  public static class Ticket {
    @Id Long id;
    @ManyToOne(fetch = FetchType.LAZY) @JoinColumn(name = "customer_id") Customer customer;
    String requestor;
    String subject;
  }

  static Ejb3Configuration configuration(String user, Class<?>... entities) {
    Properties properties = new Properties();
    String socket = System.getenv("PGHOST") + "/.s.PGSQL." + System.getenv("PGPORT");
    properties.setProperty("hibernate.connection.driver_class", "org.postgresql.Driver");
    properties.setProperty("hibernate.connection.url", "jdbc:postgresql://localhost/" + System.getenv("PGDATABASE") +
        "?sslMode=disable&socketFactory=org.newsclub.net.unix.AFUNIXSocketFactory$FactoryArg&socketFactoryArg=" + socket);
    properties.setProperty("hibernate.connection.username", user);
    properties.setProperty("hibernate.dialect",
        System.getenv("REDOUBT_RECIPE") == null ? "org.hibernate.dialect.PostgreSQLDialect" : "TokenDialect");
    properties.setProperty("hibernate.jdbc.batch_size", "20");
    Ejb3Configuration made = new Ejb3Configuration().addProperties(properties);
    for (Class<?> entity : entities) made.addAnnotatedClass(entity);
    return made;
  }

  static EntityManagerFactory factory;

  interface Code {
    Object run(EntityManager manager, Session session) throws Exception;
  }

  static String shown(Object value) {
    if (value instanceof Object[]) return Arrays.toString((Object[]) value);
    if (!(value instanceof List)) return String.valueOf(value);
    List<String> rows = new ArrayList<>();
    for (Object row : (List<?>) value) rows.add(shown(row));
    return String.join("; ", rows);
  }

  static String failure(Throwable error) {
    for (Throwable cause = error; cause != null; cause = cause.getCause())
      if (cause instanceof SQLException) {
        SQLException sql = (SQLException) cause;
        if (sql.getNextException() != null) sql = sql.getNextException();
        return "error " + sql.getSQLState() + " " + error.getClass().getSimpleName();
      }
    return "error " + error;
  }

  static void attempt(String name, Code code) {
    EntityManager manager = factory.createEntityManager();
    String result;
    manager.getTransaction().begin();
    try {
      result = shown(code.run(manager, (Session) manager.getDelegate()));
      manager.getTransaction().commit();
    } catch (Exception error) {
      if (System.getenv("SUPPORT_DEBUG") != null) error.printStackTrace();
      if (manager.getTransaction().isActive()) manager.getTransaction().rollback();
      result = failure(error);
    } finally {
      manager.close();
    }
    OUT.println(name + "\t" + result.replace("\n", "\\n"));
  }

  // written, and read anew.
  static Customer again(EntityManager manager, Customer one) {
    manager.flush();
    manager.clear();
    return manager.find(Customer.class, one.id);
  }

  static Object hql(Session session, String hql, Object... parameters) {
    org.hibernate.Query query = session.createQuery(hql);
    for (int at = 0; at < parameters.length; at++) query.setParameter("p" + at, parameters[at]);
    return query.list();
  }

  static Object limited(EntityManager own, Session session) {
    EntityManagerFactory others = configuration("support_limited", Customer.class).buildEntityManagerFactory();
    EntityManager other = others.createEntityManager();
    String seen;
    other.getTransaction().begin();
    try {
      seen = other.createQuery("select c.email from Customer c where c.id < 21").getResultList().size() + " rows";
    } catch (Exception error) {
      seen = failure(error);
    }
    other.getTransaction().rollback();
    Object after = other.createNativeQuery("SELECT 1").getSingleResult();
    others.close();
    return seen + "; then " + after;
  }

  public static void main(String[] arguments) {
    factory = configuration("support_user", Customer.class, Ticket.class, Reachable.class, ReachableByEach.class, Edited.class)
                  .buildEntityManagerFactory();
    attempt("persist", (manager, session) -> {
      Customer one = new Customer("New.One@example.com", "New One");
      one.phone = "555-0100";
      manager.persist(one);
      return again(manager, one);
    });
    attempt("persist of empty values", (manager, session) -> {
      Customer one = new Customer("half@", "");
      one.phone = "";
      manager.persist(one);
      return again(manager, one);
    });
    attempt("persist of nulls", (manager, session) -> {
      Customer one = new Customer(null, "Null");
      manager.persist(one);
      return again(manager, one);
    });
    attempt("the same twice", (manager, session) -> {
      manager.persist(new Customer("ben.1@example.org", "Twice"));
      manager.flush();
      return "stored";
    });
    attempt("changed attribute", (manager, session) -> {
      Customer one = manager.find(Customer.class, 100L);
      one.name = "Changed";
      return again(manager, one);
    });
    attempt("merge of a detached object", (manager, session) -> {
      Customer one = manager.find(Customer.class, 101L);
      manager.clear();
      one.notes = "merged";
      return again(manager, manager.merge(one));
    });
    attempt("update of a detached object", (manager, session) -> {
      Customer one = manager.find(Customer.class, 102L);
      manager.clear();
      session.update(one);
      return again(manager, one);
    });
    attempt("an array", (manager, session) -> {
      Reachable one = manager.find(Reachable.class, 103L);
      one.aliases[1] = "changed@example.net";
      manager.flush();
      manager.clear();
      return Arrays.toString(manager.find(Reachable.class, 103L).aliases);
    });
    attempt("an array, each", (manager, session) -> {
      ReachableByEach one = manager.find(ReachableByEach.class, 105L);
      one.aliases[1] = "changed@example.net";
      manager.flush();
      manager.clear();
      return Arrays.toString(manager.find(ReachableByEach.class, 105L).aliases);
    });
    attempt("refresh and lock", (manager, session) -> {
      Customer one = (Customer) session.get(Customer.class, 104L, LockOptions.UPGRADE);
      manager.refresh(one);
      return one;
    });
    attempt("remove", (manager, session) -> {
      manager.remove(manager.find(Customer.class, 1999L));
      manager.flush();
      return hql(session, "select count(*) from Customer where id = 1999");
    });
    attempt("equal", (manager, session) -> hql(session, "from Customer where email = :p0", "carla.107@example.org"));
    attempt("not equal", (manager, session) -> hql(session, "select count(*) from Customer where email <> :p0", "carla.107@example.org"));
    attempt("in", (manager, session) ->
        session.createQuery("select id from Customer where email in (:some) order by id")
            .setParameterList("some", Arrays.asList("carla.107@example.org", "dora.108@example.org", "half@")).list());
    attempt("like", (manager, session) -> hql(session, "select id from Customer where email like :p0 order by id", "anna.11%"));
    attempt("lower", (manager, session) ->
        hql(session, "select id, lower(email), upper(name) from Customer where lower(email) = lower(:p0)", "BEN.111@example.org"));
    attempt("functions", (manager, session) ->
        hql(session, "select length(email), substring(phone, 2, 3), locate('@', email), trim(name), name || ' <' || email || '>', "
            + "concat(name, ' ', phone) from Customer where id = :p0", 115L));
    attempt("concat in a condition", (manager, session) ->
        hql(session, "select id from Customer where concat(name, ' ', email) like :p0 order by id", "Carla%.11_@%"));
    attempt("coalesce, nullif, case", (manager, session) ->
        hql(session, "select id, coalesce(phone, :p0), nullif(email, ''), case when email = '' then 'empty' else email end "
            + "from Customer where id in (2001, 2002, 115) order by id", "none"));
    attempt("coalesce of two attributes", (manager, session) ->
        hql(session, "select coalesce(nullif(phone, ''), email) from Customer where id in (:p0, 2001) order by id", 2000L));
    attempt("coalesce of two attributes, cast", (manager, session) ->
        hql(session, "select coalesce(cast(nullif(phone, '') as string), email) from Customer where id in (:p0, 2001) order by id", 2000L));
    attempt("empty and null", (manager, session) ->
        hql(session, "select id from Customer where email is null or phone = '' order by id"));
    attempt("optional", (manager, session) ->
        hql(session, "select id from Customer where (:p0 is null or email = :p0) and id < 112 order by id", "ben.111@example.org"));
    attempt("between", (manager, session) ->
        hql(session, "select id from Customer where name between :p0 and :p1 order by name", "Carla Smith 1", "Carla Smith 14"));
    attempt("order and pages", (manager, session) ->
        session.createQuery("from Customer order by name desc, id").setFirstResult(1000).setMaxResults(3).list());
    attempt("min, max, count", (manager, session) ->
        hql(session, "select min(email), max(name), count(distinct email) from Customer where id < :p0", 100L));
    attempt("group by, having", (manager, session) ->
        hql(session, "select c.name, count(*) from Customer c where c.id < 4 group by c.name having count(*) > :p0 order by c.name", 0L));
    attempt("distinct", (manager, session) ->
        hql(session, "select distinct lower(c.name) from Customer c where c.id < 4 order by lower(c.name)"));
    attempt("join", (manager, session) ->
        hql(session, "select t.subject, c.email from Ticket t join t.customer c where c.email = :p0", "anna.20@example.org"));
    attempt("join, ordered", (manager, session) ->
        hql(session, "select c.email from Ticket t join t.customer c where t.id < 4 order by c.name, t.id"));
    for (String how : new String[] {"from Ticket t", "from Ticket t join fetch t.customer"})
      attempt(how, (manager, session) -> {
        List<Object> seen = new ArrayList<>();
        for (Object one : (List<?>) hql(session, how + " where t.id < 4 order by t.id")) seen.add(((Ticket) one).customer);
        return seen;
      });
    attempt("join by value", (manager, session) ->
        hql(session, "select t.id, c.name from Ticket t, Customer c where t.requestor = c.email and t.id < 6 order by t.id"));
    attempt("exists", (manager, session) ->
        hql(session, "select count(*) from Customer c where exists (select t.id from Ticket t where t.requestor = c.email) and c.id < 99"));
    attempt("constructor", (manager, session) -> hql(session, "select new list(c.email, c.phone) from Customer c where c.id = 115"));
    attempt("iterate", (manager, session) -> {
      List<Object> seen = new ArrayList<>();
      Iterator<?> some = session.createQuery("from Customer where name like 'Emil%' and id < 30 order by name").iterate();
      while (some.hasNext()) seen.add(some.next().toString());
      return seen;
    });
    attempt("scroll", (manager, session) -> {
      List<Object> seen = new ArrayList<>();
      ScrollableResults found =
          session.createQuery("select email from Customer where id between 80 and 90 order by id").setFetchSize(4).scroll();
      while (found.next()) seen.add(found.get(0));
      return seen;
    });
    attempt("criteria", (manager, session) ->
        session.createCriteria(Customer.class).add(Restrictions.ilike("name", "smith 11", MatchMode.ANYWHERE))
            .add(Restrictions.like("email", "%.11", MatchMode.START).ignoreCase()).addOrder(Order.asc("name").ignoreCase())
            .setMaxResults(5).list());
    attempt("criteria, equal", (manager, session) ->
        session.createCriteria(Customer.class).add(Restrictions.eq("email", "CARLA.107@example.org").ignoreCase()).list());
    attempt("criteria, in and between", (manager, session) ->
        session.createCriteria(Customer.class).add(Restrictions.or(Restrictions.in("email", new Object[] {"carla.107@example.org", ""}),
            Restrictions.between("name", "Dora Weiß 1", "Dora Weiß 2"))).setProjection(Projections.rowCount()).uniqueResult());
    attempt("criteria, projections", (manager, session) ->
        session.createCriteria(Customer.class).add(Restrictions.lt("id", 9L)).setProjection(Projections.projectionList()
            .add(Projections.max("email")).add(Projections.countDistinct("name")).add(Projections.min("phone"))).list());
    attempt("criteria, properties compared", (manager, session) ->
        session.createCriteria(Customer.class).add(Restrictions.neProperty("email", "name")).add(Restrictions.lt("id", 100L))
            .setProjection(Projections.rowCount()).uniqueResult());
    attempt("criteria, by example", (manager, session) -> {
      Customer like = new Customer("BEN.11__%", null);
      return session.createCriteria(Customer.class).add(Example.create(like).enableLike().ignoreCase().excludeProperty("edits")).addOrder(
          Order.asc("id")).list();
    });
    attempt("criteria, association", (manager, session) ->
        session.createCriteria(Ticket.class).createAlias("customer", "c").add(Restrictions.like("c.email", "anna.1__@%")).addOrder(
            Order.desc("c.name")).setProjection(Projections.property("c.email")).list());
    attempt("JPA's criteria", (manager, session) -> {
      CriteriaBuilder build = manager.getCriteriaBuilder();
      CriteriaQuery<Customer> query = build.createQuery(Customer.class);
      Root<Customer> from = query.from(Customer.class);
      query.where(build.or(build.equal(build.lower(from.<String>get("email")), "ben.111@example.org"),
          build.like(from.<String>get("phone"), "%1112"))).orderBy(build.asc(from.get("name")));
      return manager.createQuery(query).getResultList();
    });
    attempt("update in HQL", (manager, session) -> {
      int changed = session.createQuery("update Customer set name = concat(name, ' (again)'), edits = edits + 1 where email like :p0")
          .setString("p0", "emil.12_@%").executeUpdate();
      return changed + " " + shown(hql(session, "select name from Customer where edits = 1 order by id"));
    });
    attempt("delete in HQL", (manager, session) ->
        session.createQuery("delete from Customer where email = :p0").setString("p0", "dora.1998@example.org").executeUpdate());
    attempt("insert in HQL", (manager, session) -> {
      int made = session.createQuery("insert into Customer (email, name, edits) select concat('copy.', c.email), c.name, 2 from Customer c "
          + "where c.id = 55").executeUpdate();
      return made + " " + shown(hql(session, "select c.email, c.name from Customer c where c.edits = 2"));
    });
    attempt("in bulk", (manager, session) -> {
      for (int n = 0; n < 30; n++) manager.persist(new Customer("many" + n + "@example.com", "Many " + n));
      manager.flush();
      return hql(session, "select count(*), max(email) from Customer where name like 'Many%'");
    });
    attempt("stateless", (manager, session) -> {
      StatelessSession other = session.getSessionFactory().openStatelessSession();
      Transaction transaction = other.beginTransaction();
      Customer one = (Customer) other.get(Customer.class, 117L);
      one.phone = "555-0117";
      other.update(one);
      transaction.commit();
      other.close();
      return manager.find(Customer.class, 117L);
    });
    attempt("SQL, entities", (manager, session) ->
        session.createSQLQuery("SELECT * FROM customer WHERE email = :p0").addEntity(Customer.class).setString("p0", "ben.121@example.org")
            .list());
    attempt("SQL, columns", (manager, session) ->
        manager.createNativeQuery("SELECT id, email, name, phone FROM customer WHERE email = ?1").setParameter(1, "ben.121@example.org")
            .getResultList());
    attempt("SQL, columns cast", (manager, session) ->
        manager.createNativeQuery("SELECT id, CAST(email AS text), CAST(name AS varchar) FROM customer WHERE email = ?1")
            .setParameter(1, "ben.121@example.org").getResultList());
    // A session that is shown masks.
    attempt("changed attribute, masked", (manager, session) -> {
      session.createSQLQuery("SET LOCAL redoubt.reveal = 'masked'").executeUpdate();
      manager.find(Customer.class, 130L).notes = "by a masked role";
      manager.flush();
      return "written";
    });
    attempt("changed attribute, masked and dynamic", (manager, session) -> {
      session.createSQLQuery("SET LOCAL redoubt.reveal = 'masked'").executeUpdate();
      manager.find(Edited.class, 131L).notes = "by a masked role";
      manager.flush();
      return "written";
    });
    attempt("validate", (manager, session) -> {
      new SchemaValidator(configuration("support_user", Customer.class, Ticket.class).getHibernateConfiguration()).validate();
      return "valid";
    });
    attempt("validate, declared", (manager, session) -> {
      new SchemaValidator(configuration("support_user", Declared.class).getHibernateConfiguration()).validate();
      return "valid";
    });
    attempt("a limit", Hibernate::limited);
    factory.close();
  }
}
