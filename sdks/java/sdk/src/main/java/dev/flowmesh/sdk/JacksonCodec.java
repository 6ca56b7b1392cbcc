package dev.flowmesh.sdk;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.util.JsonGeneratorDelegate;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;

/**
 * JSON by Jackson. Numbers stay exact: those of an untyped value are {@code Integer}, {@code Long},
 * {@code BigInteger} or {@code BigDecimal}.
 */
public final class JacksonCodec implements Codec {
  private static final int TEXT_MAX = 64 * 1024 * 1024;
  private final ObjectMapper mapper;

  /** The codec with the mapper of {@link #mapper}. */
  public JacksonCodec() {
    this(mapper());
  }

  /**
   * A codec with a mapper.
   *
   * @param mapper it is not changed
   */
  public JacksonCodec(ObjectMapper mapper) {
    this.mapper = mapper;
  }

  /**
   * Returns a new mapper with exact numbers, the limits of Flowmesh, and without an error for
   * unknown members.
   *
   * @return for changes, such as further modules
   */
  public static ObjectMapper mapper() {
    StreamReadConstraints limits =
        StreamReadConstraints.builder()
            .maxStringLength(TEXT_MAX)
            .maxNameLength(TEXT_MAX)
            .maxNumberLength(TEXT_MAX)
            .build();
    JsonFactory factory = JsonFactory.builder().streamReadConstraints(limits).build();
    return JsonMapper.builder(factory)
        .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
        .build();
  }

  @Override
  public byte[] encode(Object value) {
    ByteArrayOutputStream output = new ByteArrayOutputStream(128);
    try (JsonGenerator generator = new Strict(mapper.createGenerator(output))) {
      mapper.writeValue(generator, value);
    } catch (IOException | StackOverflowError wrong) {
      throw invalid("the value cannot be written as JSON: ", wrong);
    }
    return output.toByteArray();
  }

  @Override
  public <T> T decode(byte[] data, Class<T> type) {
    try {
      return data.length == 0
          ? mapper.readValue("null", type)
          : mapper.readValue(data, type);
    } catch (IOException wrong) {
      throw invalid("the value does not fit " + type.getSimpleName() + ": ", wrong);
    }
  }

  private static FlowmeshException invalid(String text, Throwable wrong) {
    String first = String.valueOf(wrong.getMessage()).lines().findFirst().orElse("");
    return new FlowmeshException(
        Kind.INVALID,
        "JSON_INVALID",
        text + (wrong instanceof StackOverflowError ? "it contains itself" : first),
        java.util.List.of(),
        java.time.Duration.ZERO,
        wrong);
  }

  /** Refuses the numbers and texts that JSON does not have. */
  private static final class Strict extends JsonGeneratorDelegate {
    Strict(JsonGenerator generator) {
      super(generator, true);
    }

    @Override
    public void writeStartObject(Object value) throws IOException {
      super.writeStartObject(data(value));
    }

    @Override
    public void writeStartObject(Object value, int size) throws IOException {
      super.writeStartObject(data(value), size);
    }

    private static Object data(Object value) throws IOException {
      if (value != null && value.getClass().isSynthetic()) {
        throw new IOException("a function is not a value of JSON");
      }
      return value;
    }

    @Override
    public void writeNumber(double number) throws IOException {
      if (!Double.isFinite(number)) {
        throw new IOException(number + " is not a number of JSON");
      }
      super.writeNumber(number);
    }

    @Override
    public void writeNumber(float number) throws IOException {
      if (!Float.isFinite(number)) {
        throw new IOException(number + " is not a number of JSON");
      }
      super.writeNumber(number);
    }

    @Override
    public void writeArray(double[] numbers, int offset, int length) throws IOException {
      writeStartArray(numbers, length);
      for (int at = offset; at < offset + length; at++) {
        writeNumber(numbers[at]);
      }
      writeEndArray();
    }

    @Override
    public void writeString(String text) throws IOException {
      super.writeString(checked(text));
    }

    @Override
    public void writeFieldName(String name) throws IOException {
      super.writeFieldName(checked(name));
    }

    private static String checked(String text) throws IOException {
      for (int at = 0; text != null && at < text.length(); at++) {
        char unit = text.charAt(at);
        if (Character.isSurrogate(unit)) {
          boolean pair =
              at + 1 < text.length() && Character.isSurrogatePair(unit, text.charAt(at + 1));
          if (!pair) {
            throw new IOException("a text holds half of a surrogate pair");
          }
          at++;
        }
      }
      return text;
    }
  }
}
