// SPDX-License-Identifier: Apache-2.0

// What readers of a format need of a store: errors that name the structure.

extension ByteStore {
  func damaged(_ structure: String, at offset: UInt64? = nil, _ what: String) -> ImageError {
    ImageError(file: name, structure: structure, offset: offset, .damaged(what))
  }

  func unsupported(_ structure: String, at offset: UInt64? = nil, _ what: String) -> ImageError {
    ImageError(file: name, structure: structure, offset: offset, .unsupported(what))
  }

  func invalid(_ structure: String, _ what: String) -> ImageError {
    ImageError(file: name, structure: structure, .invalid(what))
  }

  /// `count` bytes of a structure, whose size the caller has bounded.
  func load(_ structure: String, at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    do throws(StoreError) {
      return try bytes(at: offset, count: count)
    } catch  where error.reason == .endOfFile {
      throw damaged(structure, at: offset, "the file ends inside it")
    } catch {
      throw ImageError(error, structure: structure)
    }
  }

  func save(_ structure: String, _ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    do throws(StoreError) { try write(bytes, at: offset) } catch { throw ImageError(error, structure: structure) }
  }

  func makeDurable(_ structure: String = "file") throws(ImageError) {
    do throws(StoreError) { try flush() } catch { throw ImageError(error, structure: structure) }
  }

  func size() throws(ImageError) -> UInt64 {
    do throws(StoreError) { return try byteCount() } catch { throw ImageError(error) }
  }

  func resize(to count: UInt64) throws(ImageError) {
    do throws(StoreError) { try setByteCount(count) } catch { throw ImageError(error) }
  }

  /// Writes zeroes, keeping the space.
  func writeZeroes(at offset: UInt64, count: UInt64) throws(StoreError) {
    let zeroes = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
    var done: UInt64 = 0
    while done < count {
      let part = min(count - done, UInt64(zeroes.count))
      try write(part == UInt64(zeroes.count) ? zeroes : Array(zeroes[..<Int(part)]), at: offset + done)
      done += part
    }
  }
}
