// quernel completion bash|zsh|fish: a script made from the parser's own tables, so it cannot fall behind.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "quernel/commands.h"

namespace quernel::app {

namespace {

struct Words {
  std::string path;  // "eval ppl"
  std::vector<std::string> words;
};

void collect(const CLI::App& app, const std::string& path, std::vector<Words>& all) {
  Words level{path, {}};
  for (const CLI::App* command : app.get_subcommands({})) level.words.push_back(command->get_name());
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) level.words.push_back("--" + name);
  all.push_back(level);
  for (const CLI::App* command : app.get_subcommands({}))
    collect(*command, path.empty() ? command->get_name() : path + " " + command->get_name(), all);
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Options where a dash was typed, sub-commands and files elsewhere.
std::string bash_script(const std::vector<Words>& all) {
  std::string script =
      "_quernel() {\n"
      "  local path=\"\" word words\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$word\" in -*) ;; *) case \" $_quernel_paths \" in *\" ${path:+$path/}$word \"*) "
      "path=\"${path:+$path/}$word\" ;; esac ;; esac\n"
      "  done\n"
      "  case \"$path\" in\n";
  std::string paths;
  for (const Words& level : all) {
    std::string key = level.path;
    for (char& c : key) c = c == ' ' ? '/' : c;
    if (!key.empty()) paths += (paths.empty() ? "" : " ") + key;
    script += "    \"" + key + "\") words=\"" + join(level.words) + "\" ;;\n";
  }
  script +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "}\n"
      "complete -o filenames -F _quernel quernel\n";
  return "_quernel_paths=\"" + paths + "\"\n" + script;
}

std::string fish_script(const std::vector<Words>& all) {
  std::string script;
  for (const Words& level : all) {
    const std::string last = level.path.substr(level.path.rfind(' ') + 1);
    const std::string condition = level.path.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + last;
    for (const std::string& word : level.words)
      script += "complete -c quernel -n '" + condition + "' " +
                (word.starts_with("--") ? "-l " + word.substr(2) : "-a " + word) + "\n";
  }
  return script;
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Shell completion: source <(quernel completion bash)");
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([shell, &app, &context] {
    context.chosen = [shell, &app] {
      std::vector<Words> all;
      collect(app, "", all);
      if (*shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
      std::cout << (*shell == "fish" ? fish_script(all) : bash_script(all));
      return 0;
    };
  });
}

}  // namespace quernel::app
