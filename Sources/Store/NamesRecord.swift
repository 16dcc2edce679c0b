import WarmstartCheckpoint
import WarmstartTensorModel

/// What the daemon's next process must know about published names.
///
/// A name outlasts its files: if they cannot be left, or cannot be restored, the next process still
/// has the name, which says why it cannot be used.
struct NamesRecord {
  /// A name, and what it stands for.
  struct Item {
    let publication: Publication
    let generation: Generation
    /// The path that the administrator published.
    let label: String
    let publisher: UInt32
    /// Why the name is lost already; empty if it is not.
    let fault: String
    /// Why the files are not left, as a clause; empty if they are.
    let obstacle: String
  }

  let items: [Item]

  init(_ items: [Item]) {
    self.items = items.sorted { $0.publication.name.text < $1.publication.name.text }
  }

  /// The words of the record's memfd.
  var words: StateWriter {
    var words = StateWriter()
    words.append(items.count)
    for item in items {
      words.append(item.publication.name.text)
      words.append(item.publication.users.map { Int($0) })
      words.append(item.publication.groups.map { Int($0) })
      item.generation.append(to: &words)
      words.append(item.label)
      words.append(Int(item.publisher))
      words.append(item.fault)
      words.append(item.obstacle)
    }
    return Trailer.close(words, as: .names)
  }

  /// Reads the record that an earlier process left.
  ///
  /// - Throws: CORRUPT if the file has no record of this version.
  init(reading words: consuming StateReader) throws(Problem) {
    var items: [Item] = []
    // A generation takes at least two words, and everything else one.
    for _ in 0..<(try words.count(wordsEach: 9)) {
      let name = try PublishedName(try words.text())
      let (users, groups) = (try words.users(), try words.users())
      items.append(
        Item(
          publication: Publication(name, users: users, groups: groups),
          generation: try Generation(reading: &words), label: try words.text(),
          publisher: try words.user(), fault: try words.text(), obstacle: try words.text()))
    }
    guard words.isAtEnd else { throw Problem(state: "words follow its names") }
    self.items = items
  }
}
