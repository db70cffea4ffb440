// format_parse.cpp - the names of built-in formats, their parameters, and domains; see format.h.
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/calendar.h"
#include "core/format.h"

namespace redoubt {
namespace {

// kMaxRanked bounds what is ranked as one number (FormatCipher::crypt_rank).
constexpr std::uint64_t kMaxRanked = std::uint64_t{1} << 62;

// power saturates at the greatest number.
std::uint64_t power(std::uint64_t base, std::size_t exponent) noexcept {
  std::uint64_t result = 1;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) return std::numeric_limits<std::uint64_t>::max();
  return result;
}

std::string too_small(const std::string &arithmetic) {
  return "the domain is too small: " + arithmetic + ", and at least " + std::to_string(kFf1MinDomain) +
         " are needed (NIST SP 800-38G Revision 1); keep less of the value, or use a sealed token type";
}

std::string arithmetic_of(std::uint64_t radix, std::size_t length) {
  return std::to_string(length) + " tokenized characters of " + std::to_string(radix) + " have " +
         std::to_string(radix) + "^" + std::to_string(length) + " = " + std::to_string(power(radix, length)) +
         " values";
}

template <typename Number>
bool read_number(std::string_view text, Number &number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// split cuts `text` at the first `at`; the second is empty where there is none.
std::pair<std::string_view, std::string_view> split(std::string_view text, char at) noexcept {
  const std::size_t place = text.find(at);
  if (place == std::string_view::npos) return {text, {}};
  return {text.substr(0, place), text.substr(place + 1)};
}

// The arguments of `name` or `name(arguments)`; nothing where spec is neither.
std::optional<std::string_view> arguments_of(std::string_view spec, std::string_view name) noexcept {
  if (!spec.starts_with(name)) return std::nullopt;
  spec.remove_prefix(name.size());
  if (spec.empty()) return spec;
  if (!spec.starts_with('(') || !spec.ends_with(')')) return std::nullopt;
  return spec.substr(1, spec.size() - 2);
}

}  // namespace

std::unique_ptr<Format> Format::make(std::string_view spec, std::string &problem) {
  std::unique_ptr<Format> format(new Format());
  if (!format->parse(spec, problem)) return nullptr;
  const std::vector<FormatAlphabet> &alphabets = format->alphabets_;
  format->ascii_ = !alphabets.empty() && std::all_of(alphabets.begin(), alphabets.end(),
                                                     [](const FormatAlphabet &a) { return a.is_ascii(); });
  return format;
}

bool Format::parse(std::string_view spec, std::string &problem) {
  if (const auto bounds = arguments_of(spec, "digits"))
    return parse_run("\\d", bounds->empty() ? "6,64" : *bounds, problem);
  if (const auto bounds = arguments_of(spec, "alnum"))
    return parse_run("[0-9A-Za-z]", bounds->empty() ? "4,64" : *bounds, problem);
  if (const auto bounds = arguments_of(spec, "integer")) return parse_range(false, *bounds, problem);
  if (const auto bounds = arguments_of(spec, "date")) return parse_range(true, *bounds, problem);
  if (const auto arguments = arguments_of(spec, "card")) return parse_card(*arguments, problem);
  if (const auto arguments = arguments_of(spec, "email")) {
    kind_ = Kind::email;
    return email_.parse(*arguments, problem);
  }
  if (const auto arguments = arguments_of(spec, "name")) {
    kind_ = Kind::name;
    return name_.parse(*arguments, problem);
  }
  if (spec == "phone") {
    kind_ = Kind::phone;
    FormatAlphabet digits;
    (void)digits.add('0', '9');
    alphabets_.push_back(std::move(digits));
    return true;
  }
  if (spec == "us_ssn") {
    spec = "(\\d{3})-?(\\d{2})-?(\\d{4})";
  } else if (spec == "uuid") {
    spec = "([0-9a-f]{8})-?([0-9a-f]{4})-?[0-9a-f]([0-9a-f]{3})-?[0-9a-f]([0-9a-f]{3})-?([0-9a-f]{12})";
  }
  if (!template_.parse(spec, problem)) {
    problem = "template: " + problem;
    return false;
  }
  return check_template_domain(problem);
}

bool Format::parse_run(std::string_view set, std::string_view bounds, std::string &problem) {
  const auto [least, most] = split(bounds, ',');
  unsigned low = 0;
  unsigned high = 0;
  if (!read_number(least, low) || !read_number(bounds.find(',') == std::string_view::npos ? least : most, high)) {
    problem = "its parameters are the least and the greatest length, as in (8,20)";
    return false;
  }
  const std::string text = "(" + std::string(set) + "{" + std::to_string(low) + "," + std::to_string(high) + "})";
  return template_.parse(text, problem) && check_template_domain(problem);
}

bool Format::check_template_domain(std::string &problem) {
  alphabets_ = template_.alphabets();
  std::uint64_t least = 1;
  std::uint64_t most = 1;
  std::string smallest;
  for (std::size_t i = 0; i < alphabets_.size(); ++i) {
    const std::uint64_t radix = alphabets_[i].radix();
    const std::uint64_t low = power(radix, template_.least(i));
    if (low < kFf1MinDomain) smallest = arithmetic_of(radix, template_.least(i));
    if (__builtin_mul_overflow(least, low, &least)) least = std::numeric_limits<std::uint64_t>::max();
    if (__builtin_mul_overflow(most, power(radix, template_.most(i)), &most))
      most = std::numeric_limits<std::uint64_t>::max();
  }
  if (smallest.empty()) return true;
  // Too few values of one class alone; of all together there may be enough.
  if (least < kFf1MinDomain) {
    if (alphabets_.size() > 1)
      smallest += "; with the other classes of the shortest value there are " + std::to_string(least);
    problem = too_small(smallest);
    return false;
  }
  if (most > kMaxRanked) {
    problem =
        too_small(smallest) + "; classes are ranked together only where the longest value has at most 2^62 values";
    return false;
  }
  ranked_ = true;
  return true;
}

bool Format::parse_range(bool dates, std::string_view bounds, std::string &problem) {
  kind_ = dates ? Kind::date : Kind::integer;
  std::int64_t least = dates ? days_of_date("0001-01-01").value_or(0) : 0;
  std::int64_t greatest = dates ? days_of_date("9999-12-31").value_or(0) : (std::int64_t{1} << 62) - 1;
  if (!bounds.empty()) {
    const auto [low, high] = split(bounds, ',');
    const std::optional<std::int64_t> first = dates ? days_of_date(low) : std::nullopt;
    const std::optional<std::int64_t> last = dates ? days_of_date(high) : std::nullopt;
    const bool read =
        dates ? first.has_value() && last.has_value() : read_number(low, least) && read_number(high, greatest);
    if (!read) {
      problem = dates ? "its parameters are two dates, as in (0001-01-01,9999-12-31)"
                      : "its parameters are two integers, as in (1000000,9999999)";
      return false;
    }
    if (dates) {
      least = *first;
      greatest = *last;
    }
  }
  if (least > greatest) {
    problem = "its range is empty";
    return false;
  }
  first_ = least;
  size_ = static_cast<std::uint64_t>(greatest) - static_cast<std::uint64_t>(least);
  if (size_ >= kMaxRanked) {
    problem = "its range has more than 2^62 values";
    return false;
  }
  ++size_;
  if (size_ >= kFf1MinDomain) return true;
  problem = too_small(std::string("the range has ") + std::to_string(size_) + (dates ? " days" : " values"));
  return false;
}

bool Format::parse_card(std::string_view arguments, std::string &problem) {
  kind_ = Kind::card;
  while (!arguments.empty()) {
    const auto [argument, rest] = split(arguments, ',');
    const auto [name, value] = split(argument, '=');
    bool known = true;
    if (name == "bin") {
      known = read_number(value, card_.bin) && (card_.bin == 0 || card_.bin == 6 || card_.bin == 8);
    } else if (name == "last") {
      known = read_number(value, card_.last) && (card_.last == 0 || card_.last == 4);
    } else if (name == "length") {
      const auto [least, most] = split(value, '-');
      known = read_number(least, card_.least) && read_number(most.empty() ? least : most, card_.most) &&
              card_.least >= 13 && card_.most <= 19 && card_.least <= card_.most;
    } else if (name == "check") {
      known = value == "ignore" || value == "preserve" || value == "fail";
      card_.check = value == "preserve" ? Check::preserve : value == "fail" ? Check::fail : Check::ignore;
    } else {
      known = false;
    }
    if (!known) {
      problem =
          "the parameters of card are bin (0, 6 or 8), last (0 or 4), length (13-19 or a part of it) and "
          "check (ignore, preserve or fail), as in card(bin=6,last=4,length=16-19,check=ignore)";
      return false;
    }
    arguments = rest;
  }
  FormatAlphabet digits;
  (void)digits.add('0', '9');
  alphabets_.push_back(std::move(digits));
  const unsigned kept = card_.bin + card_.last;
  const unsigned forced = card_.check == Check::ignore ? 0 : 1;
  const unsigned taken = kept + forced;
  const std::size_t left = card_.least > taken ? card_.least - taken : 0;
  if (power(10, left) >= kFf1MinDomain) return true;
  problem = too_small("a number of " + std::to_string(card_.least) + " digits less " + std::to_string(card_.bin) +
                      " of the BIN, " + std::to_string(card_.last) + " last ones and " + std::to_string(forced) +
                      " for the check digit leaves 10^" + std::to_string(left) + " = " +
                      std::to_string(power(10, left)) + " values");
  // One parameter that would do.
  constexpr unsigned kDigits = 6;
  static_assert(kFf1MinDomain == 1'000'000);
  problem += "; length=" + std::to_string(taken + kDigits) + "-19";
  if (card_.bin > 0 && card_.least >= card_.last + forced + kDigits) problem += " or bin=0";
  if (card_.last > 0 && card_.least >= card_.bin + forced + kDigits) problem += " or last=0";
  problem += " leaves enough";
  return false;
}

}  // namespace redoubt
