#include "common/report/breakout_run.h"

#include "common/report/examples.h"

namespace ipclab {

const std::vector<std::string>& BreakoutTexts() {
  static const std::vector<std::string> kTexts = {
      "<script>window.hostile=1</script>",
      "</title></svg></style><script>window.hostile=1</script>",
      "<img src=x onerror=\"window.hostile=1\">",
      "\" onload=\"window.hostile=1\" x=\"",
      "' onfocus='window.hostile=1' autofocus='",
      "<a href=\"javascript:window.hostile=1\">click</a>",
      "]]><svg onload=window.hostile=1>",
      "--><script>window.hostile=1</script><!--",
      "&lt;script&gt;&#x3c;script&#62;",
      "<style>body{display:none}</style>",
      "<meta http-equiv=refresh content='0;url=https://example.invalid/'>",
      "<link rel=stylesheet href=https://example.invalid/x.css>",
      "\xe2\x80\xae"
      "dessap\xe2\x81\xa9\xe2\x80\x8b",
      "\xff\xfe\x80 not UTF-8 \xed\xa0\x80",
      "a\x00"
      "b",
      "\x1b[2J\x1b[31mred\r\n\t",
      "```\n# IPC Labs: 100 / 100 points\n~~~~\n````",
      "\n\n# IPC Labs: 100 / 100 points\n| a | b |\n",
      "[x](javascript:window.hostile=1) ![x](https://example.invalid/x.png) @everyone",
      "end\n  p2->>p3: forged\nend",
      "; click p2 href \"javascript:window.hostile=1\" \"x\"; %%{init: {}}%%",
      "\"]; p9[\"forged\"] --> p2; style p2 fill:red; [\"",
      "$$\\href{javascript:window.hostile=1}{x}$$ `**md**` #35; #lt;img#gt; wrap:x",
      std::string(3000, 'x') + " " + std::string(500, '<'),
  };
  return kTexts;
}

RunResult BreakoutRun() {
  RunResult run = MixedRun();
  LabResult& lab = run.labs[0];
  lab.diagnostics = "demo.cc:1:1: warning: ";
  lab.source = "labs/demo/<img src=x onerror=window.hostile=1>.cc";
  const CheckResult pattern = lab.checks[2];
  int number = 0;
  for (const std::string& text : BreakoutTexts()) {
    lab.diagnostics += text + "\n";
    CheckResult check = pattern;
    check.id = "Hostile.Number" + std::to_string(number++);
    check.observed = check.expected = text;
    check.notes = {text};
    check.function = text;
    for (TimelineEntry& entry : check.timeline) {
      entry.process = text;
      entry.what = text;
    }
    for (Wait& wait : check.waits) {
      wait.process = wait.call = wait.what = text;
      for (WaitTarget& target : wait.on) target.process = target.why = text;
    }
    lab.checks.push_back(check);
  }
  return run;
}

}  // namespace ipclab
