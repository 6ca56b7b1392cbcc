package dev.flowmesh.sdk.worker;

import dev.flowmesh.api.worker.v1.WorkHello;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The contract of this build, for diagnosis. */
final class Contract {
  static final String DIGEST = digest();

  private Contract() {}

  private static String digest() {
    byte[] file = WorkHello.getDescriptor().getFile().toProto().toByteArray();
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(file));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
