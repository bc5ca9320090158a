#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <new>
#include <numeric>
#include <type_traits>
#include <utility>

namespace quernel {
namespace {

// Builds the tree from the reader's values. Recursion is bounded by the reader's depth counter.
class TreeBuilder {
 public:
  TreeBuilder(std::string_view text, const std::string& file, std::uint64_t base_offset)
      : reader_(text, file, base_offset) {}

  Result<Json> build() {
    QUERNEL_TRY(Json root, value());
    QUERNEL_TRY_STATUS(reader_.finish());
    return root;
  }

 private:
  using Member = std::pair<std::string, Json>;

  Result<Json> value() {
    QUERNEL_TRY(const JsonKind kind, reader_.peek());
    if (++num_values_ > kMaxJsonValues) {
      return Error(Fault::limit_exceeded, fmt::format("JSON has more than {} values", kMaxJsonValues))
          .in_file(reader_.file())
          .at(reader_.offset());
    }
    switch (kind) {
      case JsonKind::object: return object();
      case JsonKind::array: return array();
      case JsonKind::string: {
        std::string text;
        QUERNEL_TRY_STATUS(reader_.read_string(text));
        return Json(std::move(text));
      }
      case JsonKind::number: {
        QUERNEL_TRY(const JsonNumber number, reader_.read_number());
        return std::visit([](auto plain) { return Json(plain); }, number);
      }
      case JsonKind::boolean: {
        QUERNEL_TRY(const bool flag, reader_.read_bool());
        return Json(flag);
      }
      case JsonKind::null: {
        QUERNEL_TRY_STATUS(reader_.read_null());
        return Json(nullptr);
      }
    }
    return reader_.error("unknown kind of value");
  }

  Result<Json> array() {
    Json::array_t items;
    QUERNEL_TRY_STATUS(reader_.begin_array());
    while (true) {
      QUERNEL_TRY(const bool more, reader_.next_element());
      if (!more) break;
      QUERNEL_TRY(Json item, value());
      items.push_back(std::move(item));
    }
    return Json(std::move(items));
  }

  // Members are collected aside and moved into the ordered_map once their number is known: its own insertion searches all
  // keys, which is quadratic for a vocabulary, and its growth copies whole subtrees, because its keys are const.
  Result<Json> object() {
    std::vector<Member> members;
    std::vector<std::uint64_t> key_offsets;
    std::string key;
    QUERNEL_TRY_STATUS(reader_.begin_object());
    while (true) {
      QUERNEL_TRY(const bool more, reader_.next_key(key));
      if (!more) break;
      key_offsets.push_back(reader_.token_offset());
      QUERNEL_TRY(Json member, value());
      members.emplace_back(std::move(key), std::move(member));
    }
    QUERNEL_TRY_STATUS(refuse_duplicates(members, key_offsets));
    Json::object_t map;
    map.reserve(members.size());
    for (Member& member : members) {
      map.Json::object_t::Container::emplace_back(std::move(member.first), std::move(member.second));
    }
    return Json(std::move(map));
  }

  // Sorting has no worst case that a file could aim at, unlike a hash table.
  Status refuse_duplicates(const std::vector<Member>& members, const std::vector<std::uint64_t>& key_offsets) const {
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&members](std::size_t a, std::size_t b) {
      const int side = members[a].first.compare(members[b].first);
      return side != 0 ? side < 0 : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (members[order[i - 1]].first != members[order[i]].first) continue;
      return Error(Fault::corrupt, "duplicate key in a JSON object")
          .in_file(reader_.file())
          .in_field(members[order[i]].first)
          .at(key_offsets[order[i]]);
    }
    return ok_status();
  }

  JsonReader reader_;
  std::int64_t num_values_ = 0;
};

Result<const Json*> find_member(const Json& object, const std::string& key) {
  if (!object.is_object()) {
    return Error(Fault::corrupt, "not a JSON object").in_field(key).expect("object", object.type_name());
  }
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

Error wrong_type(const Json& found, const std::string& key, const char* expected) {
  constexpr std::size_t kShown = 60;
  std::string text = fmt::format("{} {}", found.type_name(), dump_json(found));
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return Error(Fault::corrupt, "member has the wrong type").in_field(key).expect(expected, std::move(text));
}

template <class T>
Result<T> convert(const Json& value, const std::string& key) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    const bool too_wide =
        value.is_number_unsigned() &&
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!value.is_number_integer() || too_wide) return wrong_type(value, key, "whole number of 64 bits");
  } else if constexpr (std::is_same_v<T, double>) {
    if (!value.is_number()) return wrong_type(value, key, "number");
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) return wrong_type(value, key, "boolean");
  } else {
    if (!value.is_string()) return wrong_type(value, key, "string");
  }
  return value.get<T>();
}

template <class T>
Result<T> required(const Json& object, const std::string& key) {
  QUERNEL_TRY(const Json* found, find_member(object, key));
  if (found == nullptr) return Error(Fault::not_found, "member is missing").in_field(key);
  return convert<T>(*found, key);
}

template <class T>
Result<T> optional(const Json& object, const std::string& key, const T& fallback) {
  QUERNEL_TRY(const Json* found, find_member(object, key));
  if (found == nullptr || found->is_null()) return fallback;
  return convert<T>(*found, key);
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& file) {
  if (text.size() > kMaxJsonBytes) {
    return Error(Fault::limit_exceeded, "JSON text is too long")
        .in_file(file)
        .expect(fmt::format("at most {} bytes", kMaxJsonBytes), fmt::format("{}", text.size()));
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::uint64_t skipped = 0;
  if (text.starts_with(kByteOrderMark)) {
    skipped = kByteOrderMark.size();
    text.remove_prefix(kByteOrderMark.size());
  }
  try {
    return TreeBuilder(text, file, skipped).build();
  } catch (const std::bad_alloc&) {
    return Error(Fault::out_of_memory, "no memory for the JSON tree").in_file(file);
  }
}

Result<std::int64_t> json_int(const Json& object, const std::string& key) {
  return required<std::int64_t>(object, key);
}
Result<double> json_number(const Json& object, const std::string& key) { return required<double>(object, key); }
Result<std::string> json_string(const Json& object, const std::string& key) {
  return required<std::string>(object, key);
}
Result<bool> json_bool(const Json& object, const std::string& key) { return required<bool>(object, key); }

Result<std::int64_t> json_int_or(const Json& object, const std::string& key, std::int64_t fallback) {
  return optional<std::int64_t>(object, key, fallback);
}
Result<double> json_number_or(const Json& object, const std::string& key, double fallback) {
  return optional<double>(object, key, fallback);
}
Result<std::string> json_string_or(const Json& object, const std::string& key, const std::string& fallback) {
  return optional<std::string>(object, key, fallback);
}
Result<bool> json_bool_or(const Json& object, const std::string& key, bool fallback) {
  return optional<bool>(object, key, fallback);
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace quernel
