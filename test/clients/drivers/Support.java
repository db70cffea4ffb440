// Support.java - the support application through JDBC.
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGConnection;

public class Support {
  static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  static Connection connection;

  interface Code {
    Object run() throws Exception;
  }

  static Connection connect(String user) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", user);
    // JDBC knows no Unix socket; this library does.
    properties.setProperty("socketFactory", "org.newsclub.net.unix.AFUNIXSocketFactory$FactoryArg");
    properties.setProperty("socketFactoryArg", System.getenv("PGHOST") + "/.s.PGSQL." + System.getenv("PGPORT"));
    properties.setProperty("sslMode", "disable");
    properties.setProperty("reWriteBatchedInserts", "true");
    if (System.getenv("SUPPORT_STRINGTYPE") != null) properties.setProperty("stringtype", System.getenv("SUPPORT_STRINGTYPE"));
    Connection made = DriverManager.getConnection("jdbc:postgresql://localhost/" + System.getenv("PGDATABASE"), properties);
    made.setAutoCommit(false);
    return made;
  }

  static void attempt(String name, Code code) throws SQLException {
    String result;
    try {
      result = String.valueOf(code.run());
      connection.commit();
    } catch (SQLException error) {
      connection.rollback();
      result = "error " + error.getSQLState() + " " + error.getClass().getSimpleName();
    } catch (Exception error) {
      connection.rollback();
      result = "error " + error;
    }
    OUT.println(name + "\t" + result.replace("\n", "\\n"));
  }

  static void bind(PreparedStatement statement, int at, String parameter) throws SQLException {
    String value = parameter.substring(2);
    switch (parameter.charAt(0)) {
      case 't' -> statement.setString(at, value);
      case 'i' -> statement.setLong(at, Long.parseLong(value));
      case 'a' -> statement.setArray(at, connection.createArrayOf("text", value.split(",")));
      default -> statement.setNull(at, Types.VARCHAR);
    }
  }

  static String rows(ResultSet found) throws SQLException {
    ResultSetMetaData about = found.getMetaData();
    List<String> rows = new ArrayList<>();
    while (found.next()) {
      List<String> row = new ArrayList<>();
      for (int at = 1; at <= about.getColumnCount(); at++) row.add(String.valueOf(found.getString(at)));
      rows.add(String.join(" | ", row));
    }
    return rows.isEmpty() ? "no row" : String.join("; ", rows);
  }

  static String run(String sql, String... parameters) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql.replaceAll("\\$\\d", "?"))) {
      for (int at = 0; at < parameters.length; at++) bind(statement, at + 1, parameters[at]);
      return statement.execute() ? rows(statement.getResultSet()) : statement.getUpdateCount() + " rows";
    }
  }

  static Object many() throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO customer (email, name) VALUES (?, ?)")) {
      for (int n = 0; n < 3; n++) {
        insert.setString(1, "many" + n + "@example.com");
        insert.setString(2, "Many " + n);
        insert.addBatch();
      }
      insert.executeBatch();
    }
    return run("SELECT email, name FROM customer WHERE name LIKE 'Many%' ORDER BY id");
  }

  static Object generatedKeys() throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement("INSERT INTO customer (email) VALUES (?)", new String[] {"email", "name"})) {
      insert.setString(1, "keys@example.com");
      insert.executeUpdate();
      return rows(insert.getGeneratedKeys());
    }
  }

  static Object writtenBack() throws SQLException {
    try (Statement read = connection.createStatement();
        PreparedStatement write =
            connection.prepareStatement("UPDATE customer SET email = ?, name = ?, phone = ?, aliases = ?, notes = ? WHERE id = 60")) {
      ResultSet row = read.executeQuery("SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60");
      row.next();
      for (int at : new int[] {1, 2, 3, 5}) write.setString(at, row.getString(at));
      write.setArray(4, row.getArray(4));
      write.executeUpdate();
    }
    return run("SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60");
  }

  static Object updatableRows() throws SQLException {
    try (Statement read = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
      ResultSet row = read.executeQuery("SELECT id, email, name FROM customer WHERE id = 62");
      row.next();
      row.updateString("name", "Updated Row");
      row.updateRow();
    }
    return run("SELECT id, email, name FROM customer WHERE id = 62");
  }

  static Object savepoint() throws SQLException {
    try (Statement statement = connection.createStatement()) {
      Savepoint point = connection.setSavepoint();
      String seen = "no error";
      try {
        statement.execute("INSERT INTO customer (email) VALUES ('ben.61@example.org')");
      } catch (SQLException error) {
        seen = error.getSQLState();
        connection.rollback(point);
      }
      ResultSet row = statement.executeQuery("INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email");
      row.next();
      return seen + " " + row.getString(1);
    }
  }

  static Object tenTimes() throws SQLException {
    List<Long> found = new ArrayList<>();
    try (PreparedStatement look = connection.prepareStatement("SELECT id FROM customer WHERE email = ?")) {
      for (int n = 70; n < 80; n++) {
        look.setString(1, "anna." + 5 * n + "@example.org");
        ResultSet row = look.executeQuery();
        while (row.next()) found.add(row.getLong(1));
      }
    }
    return found;
  }

  static Object fetched() throws SQLException {
    try (Statement read = connection.createStatement()) {
      read.setFetchSize(4);
      return rows(read.executeQuery("SELECT id, email FROM customer WHERE id < 96 AND id > 80 ORDER BY id"));
    }
  }

  static Object copiedIn() throws Exception {
    connection.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY customer (email, name) FROM STDIN",
        new java.io.StringReader("copy1@example.com\tCopy One\ncopy2@example.com\tCopy Two\n"));
    return run("SELECT email, name FROM customer WHERE name LIKE 'Copy%' ORDER BY id");
  }

  static Object copiedOut() throws Exception {
    java.io.StringWriter out = new java.io.StringWriter();
    connection.unwrap(PGConnection.class).getCopyAPI().copyOut(
        "COPY (SELECT id, email, name FROM customer WHERE id IN (90, 91) ORDER BY id) TO STDOUT", out);
    return out;
  }

  static Object array() throws SQLException {
    try (Statement read = connection.createStatement()) {
      ResultSet row = read.executeQuery("SELECT aliases FROM customer WHERE id = 92");
      row.next();
      Array value = row.getArray(1);
      return Arrays.toString((Object[]) value.getArray());
    }
  }

  static Object arrayOfStrings() throws SQLException {
    try (Statement read = connection.createStatement()) {
      ResultSet row = read.executeQuery("SELECT aliases FROM customer WHERE id = 92");
      row.next();
      return String.join(", ", (String[]) row.getArray(1).getArray());
    }
  }

  static Object classes() throws SQLException {
    try (Statement read = connection.createStatement()) {
      ResultSet row = read.executeQuery("SELECT email, name, phone, id FROM customer WHERE id = 94");
      row.next();
      List<String> seen = new ArrayList<>();
      for (int at = 1; at <= 4; at++) seen.add(row.getObject(at).getClass().getSimpleName() + "/" + row.getMetaData().getColumnType(at));
      return seen;
    }
  }

  static Object asString() throws SQLException {
    try (Statement read = connection.createStatement()) {
      ResultSet row = read.executeQuery("SELECT email FROM customer WHERE id = 94");
      row.next();
      return row.getObject(1, String.class);
    }
  }

  static Object objectsIn() throws SQLException {
    try (PreparedStatement look = connection.prepareStatement("SELECT id FROM customer WHERE email = ? OR name = ? ORDER BY id")) {
      look.setObject(1, "anna.95@example.org");
      look.setObject(2, "Anna Smith 100", Types.OTHER);
      return rows(look.executeQuery());
    }
  }

  static Object limited() throws SQLException {
    try (Connection other = connect("support_limited"); Statement read = other.createStatement()) {
      String seen;
      try {
        read.setFetchSize(4);
        ResultSet found = read.executeQuery("SELECT email FROM customer WHERE id < 21");
        int count = 0;
        while (found.next()) count++;
        seen = count + " rows";
      } catch (SQLException error) {
        seen = "error " + error.getSQLState() + " " + error.getClass().getSimpleName();
        other.rollback();
      }
      ResultSet row = read.executeQuery("SELECT 1");
      row.next();
      return seen + "; then " + row.getInt(1);
    }
  }

  public static void main(String[] arguments) throws Exception {
    connection = connect("support_user");
    for (String line : Files.readAllLines(Path.of(arguments[0]))) {
      if (line.startsWith("#")) continue;
      String[] fields = line.split("\t", -1);
      String[] parameters = Arrays.copyOfRange(fields, 2, fields.length);
      attempt(fields[0], () -> {
        String result = run(fields[1], parameters);
        return fields[0].startsWith("plan: ") ? result.split("; ")[0] : result;
      });
    }
    attempt("in bulk", Support::many);
    attempt("generated keys", Support::generatedKeys);
    attempt("whole row written back", Support::writtenBack);
    attempt("updatable rows", Support::updatableRows);
    attempt("savepoint", Support::savepoint);
    attempt("ten times", Support::tenTimes);
    attempt("a cursor", Support::fetched);
    attempt("COPY in", Support::copiedIn);
    attempt("COPY out", Support::copiedOut);
    attempt("an array", Support::array);
    attempt("an array as String[]", Support::arrayOfStrings);
    attempt("classes of results", Support::classes);
    attempt("getObject(String.class)", Support::asString);
    attempt("setObject", Support::objectsIn);
    attempt("a limit", Support::limited);
  }
}
