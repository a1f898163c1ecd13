// A small server around the official CQL translator that speaks the HTTP contract of cql-translation-service:
// POST /cql/translator as application/cql or multipart/form-data, options in the query. Only for tests, on loopback.
// Run: java -cp '<jars>/*' TranslatorServer.java <port>   (0: any free one; the port is printed when it listens)
//
// Errors: CQL errors come back inside the ELM, with 400 for a single library and 200 for multipart, as the service does.
// What is no translation at all is a plain-text 4xx.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.cqframework.cql.cql2elm.CqlCompilerException.ErrorSeverity;
import org.cqframework.cql.cql2elm.CqlCompilerOptions;
import org.cqframework.cql.cql2elm.CqlCompilerOptions.Options;
import org.cqframework.cql.cql2elm.CqlTranslator;
import org.cqframework.cql.cql2elm.LibraryBuilder.SignatureLevel;
import org.cqframework.cql.cql2elm.LibraryManager;
import org.cqframework.cql.cql2elm.ModelManager;
import org.cqframework.cql.cql2elm.StringLibrarySourceProvider;
import org.cqframework.cql.cql2elm.quick.FhirLibrarySourceProvider;

public class TranslatorServer {
  private static final String CQL = "application/cql";
  private static final String JSON = "application/elm+json";
  private static final String XML = "application/elm+xml";
  private static final String BOUNDARY = "Boundary_translator_1";

  private static final Map<String, List<Options>> OPTIONS = Map.ofEntries(
      Map.entry("annotations", List.of(Options.EnableAnnotations)),
      Map.entry("locators", List.of(Options.EnableLocators)),
      Map.entry("result-types", List.of(Options.EnableResultTypes)),
      Map.entry("detailed-errors", List.of(Options.EnableDetailedErrors)),
      Map.entry("date-range-optimization", List.of(Options.EnableDateRangeOptimization)),
      Map.entry("disable-list-traversal", List.of(Options.DisableListTraversal)),
      Map.entry("disable-list-demotion", List.of(Options.DisableListDemotion)),
      Map.entry("disable-list-promotion", List.of(Options.DisableListPromotion)),
      Map.entry("enable-interval-demotion", List.of(Options.EnableIntervalDemotion)),
      Map.entry("enable-interval-promotion", List.of(Options.EnableIntervalPromotion)),
      Map.entry("disable-method-invocation", List.of(Options.DisableMethodInvocation)),
      Map.entry("require-from-keyword", List.of(Options.RequireFromKeyword)),
      Map.entry("strict", List.of(Options.DisableListTraversal, Options.DisableListDemotion,
          Options.DisableListPromotion, Options.DisableMethodInvocation)));

  /** A request that is no translation: its status and one sentence. */
  private static class Refusal extends RuntimeException {
    final int status;

    Refusal(int status, String message) {
      super(message);
      this.status = status;
    }
  }

  /** One part of a form, by its field name. */
  private record Part(String name, String text) {}

  public static void main(String[] args) throws IOException {
    int port = args.length > 0 ? Integer.parseInt(args[0]) : 0;
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 16);
    server.createContext("/cql/translator", TranslatorServer::handle);
    server.start();
    System.out.println("listening on " + server.getAddress().getPort());
  }

  private static void handle(HttpExchange exchange) throws IOException {
    try {
      String type = header(exchange, "Content-Type", "");
      if (!exchange.getRequestURI().getPath().equals("/cql/translator")) {
        throw new Refusal(404, "not found");
      } else if (!exchange.getRequestMethod().equals("POST")) {
        throw new Refusal(405, "only POST");
      } else if (type.startsWith(CQL)) {
        translateOne(exchange);
      } else if (type.startsWith("multipart/form-data")) {
        translatePackage(exchange, type);
      } else {
        throw new Refusal(415, "unsupported content type");
      }
    } catch (Refusal refusal) {
      answer(exchange, refusal.status, "text/plain", refusal.getMessage());
    } catch (Exception error) {
      answer(exchange, 500, "text/plain", error.toString());
    } finally {
      exchange.close();
    }
  }

  private static void translateOne(HttpExchange exchange) throws IOException {
    String accept = header(exchange, "Accept", "*/*");
    String format = accept.contains(JSON) ? JSON : accept.contains(XML) || accept.contains("*/*") ? XML : null;
    if (format == null) {
      throw new Refusal(406, "not acceptable");
    }
    String cql = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    CqlTranslator translator = CqlTranslator.fromText(cql, libraryManager(exchange));
    answer(exchange, translator.getErrors().isEmpty() ? 200 : 400, format, elm(translator, format));
  }

  private static void translatePackage(HttpExchange exchange, String type) throws IOException {
    String format = header(exchange, "X-TargetFormat", JSON).trim();
    if (!format.equals(JSON) && !format.equals(XML)) {
      throw new Refusal(400, "Unsupported media type");
    }
    List<Part> parts = parts(exchange.getRequestBody().readAllBytes(), type);
    LibraryManager manager = libraryManager(exchange);
    manager.getLibrarySourceLoader().registerProvider(
        new StringLibrarySourceProvider(parts.stream().map(Part::text).toList()));
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    for (Part part : parts) {
      CqlTranslator translator = CqlTranslator.fromText(part.text(), manager);
      body.writeBytes(("--" + BOUNDARY + "\r\nContent-Type: " + format
          + "\r\nContent-Disposition: form-data; name=\"" + part.name() + "\"\r\n\r\n").getBytes(StandardCharsets.UTF_8));
      body.writeBytes((elm(translator, format) + "\r\n").getBytes(StandardCharsets.UTF_8));
    }
    body.writeBytes(("--" + BOUNDARY + "--\r\n").getBytes(StandardCharsets.UTF_8));
    send(exchange, 200, "multipart/form-data;boundary=" + BOUNDARY, body.toByteArray());
  }

  private static String elm(CqlTranslator translator, String format) {
    return format.equals(JSON) ? translator.toJson() : translator.toXml();
  }

  private static LibraryManager libraryManager(HttpExchange exchange) {
    List<Options> options = new ArrayList<>();
    SignatureLevel signatures = SignatureLevel.None;
    String compatibility = null;  // of the language: an older level has what was taken out since
    for (Map.Entry<String, String> entry : query(exchange).entrySet()) {
      if (entry.getKey().equals("signatures")) {
        signatures = SignatureLevel.valueOf(entry.getValue());
      } else if (entry.getKey().equals("compatibility-level")) {
        compatibility = entry.getValue();
      } else if (OPTIONS.containsKey(entry.getKey()) && Boolean.parseBoolean(entry.getValue())) {
        options.addAll(OPTIONS.get(entry.getKey()));
      }
    }
    CqlCompilerOptions compiler =
        new CqlCompilerOptions(ErrorSeverity.Info, signatures, options.toArray(new Options[0]));
    if (compatibility != null) {
      compiler.setCompatibilityLevel(compatibility);
    }
    LibraryManager manager = new LibraryManager(new ModelManager(), compiler);
    manager.getLibrarySourceLoader().registerProvider(new FhirLibrarySourceProvider());
    return manager;
  }

  private static Map<String, String> query(HttpExchange exchange) {
    Map<String, String> values = new HashMap<>();
    String query = exchange.getRequestURI().getRawQuery();
    for (String pair : query == null ? new String[0] : query.split("&")) {
      String[] sides = pair.split("=", 2);
      values.putIfAbsent(URLDecoder.decode(sides[0], StandardCharsets.UTF_8),
          sides.length > 1 ? URLDecoder.decode(sides[1], StandardCharsets.UTF_8) : "");
    }
    return values;
  }

  /** The parts of a multipart body; Latin-1 keeps the bytes while the delimiters are searched. */
  private static List<Part> parts(byte[] body, String contentType) {
    Matcher boundary = Pattern.compile("boundary=\"?([^\";]+)\"?").matcher(contentType);
    if (!boundary.find()) {
      throw new Refusal(400, "multipart without a boundary");
    }
    String delimiter = "\r\n--" + boundary.group(1);
    String text = "\r\n" + new String(body, StandardCharsets.ISO_8859_1);
    List<Part> parts = new ArrayList<>();
    int start = text.indexOf(delimiter);
    while (start >= 0 && !text.startsWith("--", start + delimiter.length())) {
      int end = text.indexOf(delimiter, start + 1);
      int content = text.indexOf("\r\n\r\n", start + delimiter.length());
      if (end < 0 || content < 0 || content > end) {
        throw new Refusal(400, "multipart body is cut short");
      }
      String headers = text.substring(start + delimiter.length(), content);
      Matcher name = Pattern.compile("name=\"([^\"]*)\"").matcher(headers);
      parts.add(new Part(name.find() ? name.group(1) : "part", new String(
          text.substring(content + 4, end).getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8)));
      start = end;
    }
    return parts;
  }

  private static String header(HttpExchange exchange, String name, String otherwise) {
    String value = exchange.getRequestHeaders().getFirst(name);
    return value == null ? otherwise : value;
  }

  private static void answer(HttpExchange exchange, int status, String type, String text) throws IOException {
    send(exchange, status, type, text.getBytes(StandardCharsets.UTF_8));
  }

  private static void send(HttpExchange exchange, int status, String type, byte[] body) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    try (OutputStream out = exchange.getResponseBody()) {
      out.write(body);
    }
  }
}
