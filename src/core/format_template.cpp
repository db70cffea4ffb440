// format_template.cpp - parsing a template, and matching a value; see format_template.h.
#include "core/format_template.h"

#include <algorithm>
#include <utility>

#include "core/unicode_text.h"

namespace redoubt {

// Parser reads one template from left to right.
class FormatTemplate::Parser {
 public:
  Parser(std::string_view text, FormatTemplate &into, std::string &problem) noexcept
      : text_(text), into_(into), problem_(problem) {}

  bool run() {
    if (text_.starts_with('^')) text_.remove_prefix(1);
    if (text_.ends_with('$') && !text_.ends_with("\\$")) text_.remove_suffix(1);
    while (at_ < text_.size())
      if (!item()) return false;
    if (group_) return fail("a group is not closed");
    if (into_.groups_.empty()) return fail("no group: what is to be tokenized stands in parentheses");
    return check_lengths() && check_order();
  }

 private:
  bool fail(const char *why) {
    problem_ = why;
    return false;
  }

  bool take(char c) noexcept {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // A tokenized or kept character may not change form with its neighbours under NFC.
  bool allowed(char32_t c) {
    if (is_control(c) || (c >= 0xD800 && c <= 0xDFFF)) return fail("control character");
    if (c == kMaskCodePoint) return fail("the mask character");
    if (is_combining_mark(c) || (c >= 0x1100 && c <= 0x11FF))
      return fail("a character that combines with the one before it");
    return true;
  }

  bool character(char32_t &c) {
    const CodePoint point = at_ < text_.size() ? utf8_decode(text_, at_) : CodePoint{};
    if (point.size == 0) return fail("not UTF-8, or it ends in the middle of something");
    at_ += point.size;
    c = point.value;
    return allowed(c);
  }

  bool item() {
    if (take('(')) {
      if (group_) return fail("a group inside a group");
      if (at_ < text_.size() && text_[at_] == '?') return fail("(?...) is not supported");
      group_ = true;
      return true;
    }
    if (take(')')) {
      if (!group_) return fail("a closing parenthesis without a group");
      group_ = false;
      if (at_ < text_.size() && std::string_view("{?*+").find(text_[at_]) != std::string_view::npos)
        return fail("a repeated group");
      return true;
    }
    Item made;
    if (!atom(made) || !quantifier(made)) return false;
    made.captured = group_ && !made.literal;
    if (made.captured) {
      if (made.set.radix() < 2) return fail("a class of one character cannot be tokenized");
      const auto found = std::find(into_.groups_.begin(), into_.groups_.end(), made.set);
      if (found == into_.groups_.end() && into_.groups_.size() == kFormatMaxAlphabets)
        return fail("more than 8 different classes in groups");
      made.alphabet = static_cast<std::uint8_t>(found - into_.groups_.begin());
      if (found == into_.groups_.end()) into_.groups_.push_back(made.set);
    }
    into_.items_.push_back(std::move(made));
    return true;
  }

  bool atom(Item &made) {
    char32_t c = 0;
    if (take('[')) return char_class(made);
    if (take('\\')) {
      if (take('d')) return made.set.add('0', '9');
      if (!escaped(c)) return false;
    } else {
      if (std::string_view(".*+?|^$]{}").find(text_[at_]) != std::string_view::npos)
        return fail("an operator that is not supported here (write \\ before it to mean the character)");
      if (!character(c)) return false;
    }
    made.literal = true;
    return made.set.add(c, c);
  }

  bool escaped(char32_t &c) {
    if (!character(c)) return false;
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return !word || fail("an escape that is not supported: only \\d, and \\ before punctuation");
  }

  bool char_class(Item &made) {
    if (take('^')) return fail("negated classes are not supported");
    do {
      char32_t first = 0;
      if (take('\\')) {
        if (take('d')) {
          if (!made.set.add('0', '9')) return fail("a character twice in a class");
          continue;
        }
        if (!escaped(first)) return false;
      } else if (!character(first)) {
        return false;
      }
      char32_t last = first;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        ++at_;
        if (take('\\') ? !escaped(last) : !character(last)) return false;
      }
      for (char32_t c = first; c < last; ++c)
        if (!allowed(c)) return false;
      if (!made.set.add(first, last))
        return fail("a class with a character twice, a range that runs backwards, or too many characters");
    } while (at_ < text_.size() && text_[at_] != ']');
    return take(']') || fail("a class is not closed");
  }

  bool number(std::uint16_t &n) {
    const std::size_t begin = at_;
    unsigned value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && value <= kFormatMaxCharacters)
      value = value * 10 + static_cast<unsigned>(text_[at_++] - '0');
    if (begin == at_ || value > kFormatMaxCharacters) return fail("a count in {} is a number from 0 to 255");
    n = static_cast<std::uint16_t>(value);
    return true;
  }

  bool quantifier(Item &made) {
    if (take('?')) {
      made.least = 0;
    } else if (take('{')) {
      if (!number(made.least)) return false;
      made.most = made.least;
      if (take(',') && !number(made.most)) return false;
      if (!take('}')) return fail("{} is not closed");
      if (made.most == 0 || made.least > made.most) return fail("a count in {} that no value can have");
    } else if (at_ < text_.size() && (text_[at_] == '*' || text_[at_] == '+')) {
      return fail("unbounded repetition; write {m,n}");
    }
    if (at_ < text_.size() && std::string_view("{?*+").find(text_[at_]) != std::string_view::npos)
      return fail("two counts in a row");
    return true;
  }

  bool check_lengths() {
    std::size_t longest = 0;
    for (const Item &i : into_.items_) longest += i.most;
    return longest <= kFormatMaxCharacters || fail("values longer than 255 characters");
  }

  // The invariant: what can follow an item of variable length shares no character with it.
  bool check_order() {
    const std::vector<Item> &items = into_.items_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].least == items[i].most) continue;
      for (std::size_t next = i + 1; next < items.size(); ++next) {
        if (items[i].set.overlaps(items[next].set))
          return fail("a part of variable length followed by one that may hold the same characters");
        if (items[next].least > 0) break;
      }
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool group_ = false;
  FormatTemplate &into_;
  std::string &problem_;
};

bool FormatTemplate::parse(std::string_view text, std::string &problem) {
  items_.clear();
  groups_.clear();
  if (!Parser(text, *this, problem).run()) return false;
  compile();
  return true;
}

void FormatTemplate::compile() noexcept {
  for (Item &item : items_) {
    if (!item.set.is_ascii() || !item.set.single_run()) continue;
    item.run_first = static_cast<std::uint8_t>(item.set.character(0));
    item.run_size = static_cast<std::uint8_t>(item.set.radix());
  }
  const Item &only = items_.front();
  const bool digits = items_.size() == 1 && only.captured && only.run_first == '0' && only.run_size == 10;
  least_digits_ = digits ? only.least : 1;
  most_digits_ = digits ? only.most : 0;
}

// match_run matches as many characters as there are, up to the item's most, and returns how many.
[[gnu::always_inline]] inline std::size_t FormatTemplate::match_run(const Item &item, std::string_view value,
                                                                    std::size_t at, FormatScan &scan) noexcept {
  constexpr std::size_t kLong = 16;  // bytes of a vector instruction
  const std::uint8_t first = item.run_first;
  const std::uint8_t size = item.run_size;
  const char *const from = value.data() + at;
  const std::size_t most = std::min<std::size_t>(item.most, value.size() - at);
  const auto place = [first](char c) { return static_cast<std::uint8_t>(static_cast<std::uint8_t>(c) - first); };
  std::size_t count = 0;
  if (item.captured) {
    std::uint16_t *const to = scan.numeral + scan.slots;
    if (most >= kLong) {  // mostly all of them match, and are looked at together
      std::uint8_t outside = 0;
      for (std::size_t i = 0; i < most; ++i) outside |= static_cast<std::uint8_t>(place(from[i]) >= size);
      for (std::size_t i = 0; i < most; ++i) to[i] = place(from[i]);
      count = outside == 0 ? most : 0;
    }
    for (; count < most && place(from[count]) < size; ++count) to[count] = place(from[count]);
    if (count > 0) scan.add_run(at, count, count, item.alphabet);
  } else {
    while (count < most && place(from[count]) < size) ++count;
    if (!item.literal) scan.keep(value.substr(at, count));
  }
  return count;
}

Refusal FormatTemplate::scan(std::string_view value, FormatScan &scan) const noexcept {
  scan.clear();
  std::size_t at = 0;
  std::size_t position = 1;
  for (const Item &item : items_) {
    std::size_t count = 0;
    if (item.literal && item.run_size == 1 && item.most == 1) {  // a hyphen
      count = at < value.size() && value[at] == static_cast<char>(item.run_first) ? 1 : 0;
      at += count;
      position += count;
    } else if (item.run_size > 0) {
      count = match_run(item, value, at, scan);
      at += count;
      position += count;
    }
    for (; count < item.most; ++count) {
      std::uint16_t numeral = 0;
      CodePoint c;
      if (at < value.size()) {
        c = utf8_decode(value, at);
        if (c.size == 0) return {Status::malformed, position, "invalid UTF-8"};
      }
      if (c.size == 0 || !item.set.find(c.value, numeral)) {
        if (count >= item.least) break;
        if (c.size == 0) return {Status::out_of_range, 0, "too short"};
        return {Status::malformed, position, "character not allowed by the format"};
      }
      if (item.captured) {
        scan.add_slot(numeral, at, c.size, item.alphabet);
      } else if (!item.literal) {
        scan.keep(value.substr(at, c.size));
      }
      at += c.size;
      ++position;
    }
  }
  if (at < value.size()) return {Status::out_of_range, position, "too long"};
  return {};
}

std::size_t FormatTemplate::least(std::size_t alphabet) const noexcept {
  std::size_t sum = 0;
  for (const Item &i : items_)
    if (i.captured && i.alphabet == alphabet) sum += i.least;
  return sum;
}

std::size_t FormatTemplate::most(std::size_t alphabet) const noexcept {
  std::size_t sum = 0;
  for (const Item &i : items_)
    if (i.captured && i.alphabet == alphabet) sum += i.most;
  return sum;
}

}  // namespace redoubt
