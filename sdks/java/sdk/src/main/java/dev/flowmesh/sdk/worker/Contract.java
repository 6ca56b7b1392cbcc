package dev.flowmesh.sdk.worker;

import dev.flowmesh.api.worker.v1.WorkHello;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The contract of this build, for diagnosis. */
final class Contract {
  static final String DIGEST = digest();

  /** The language, and the version if the manifest of the archive has it. */
  static final String SDK = sdk();

  private Contract() {}

  private static String sdk() {
    String version = Contract.class.getPackage().getImplementationVersion();
    return version == null ? "java" : "java-" + version;
  }

  private static String digest() {
    byte[] file = WorkHello.getDescriptor().getFile().toProto().toByteArray();
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(file));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
