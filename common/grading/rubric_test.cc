#include "common/grading/rubric.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "common/base/error.h"

namespace ipclab {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

RubricCheck SoundCheck(const std::string& id, double points) {
  RubricCheck check;
  check.id = id;
  check.points = points;
  check.proves = "it holds";
  check.proves_zh = "成立";
  check.hints = {"look", "look closer"};
  check.hints_zh = {"看", "再看"};
  check.references = {"pipe(7)"};
  return check;
}

Rubric SoundRubric() {
  RubricExercise exercise;
  exercise.id = "pipe.1";
  exercise.points = 100;
  exercise.title = "Title";
  exercise.title_zh = "题目";
  exercise.checks = {SoundCheck("A.One", 60), SoundCheck("A.Two", 40)};
  return {"pipe", {exercise}};
}

const std::vector<std::string> kChecks = {"A.One", "A.Two"};

TEST(RubricFaults, AreNoneInASoundRubric) {
  EXPECT_THAT(Faults(SoundRubric(), kChecks), IsEmpty());
}

TEST(RubricFaults, NameACheckThatTheRubricForgets) {
  EXPECT_THAT(Faults(SoundRubric(), {"A.One", "A.Two", "A.Three"}),
              Contains("A.Three is a check, but not in the rubric"));
}

TEST(RubricFaults, NameARowWithoutACheck) {
  EXPECT_THAT(Faults(SoundRubric(), {"A.One"}),
              Contains("A.Two is in the rubric, but there is no such check"));
}

TEST(RubricFaults, NameSumsThatDoNotAddUp) {
  Rubric rubric = SoundRubric();
  rubric.exercises[0].checks[0].points = 50;
  EXPECT_THAT(Faults(rubric, kChecks),
              Contains("the checks of pipe.1 do not add up to its points"));
  rubric.exercises[0].points = 90;
  EXPECT_THAT(Faults(rubric, kChecks), Contains("the exercises do not add up to 100 points"));
}

TEST(RubricFaults, NameAMissingLanguageHintOrManPage) {
  Rubric rubric = SoundRubric();
  rubric.exercises[0].checks[0].proves_zh.clear();
  rubric.exercises[0].checks[0].hints_zh.pop_back();
  rubric.exercises[0].checks[1].references.clear();
  const auto faults = Faults(rubric, kChecks);
  EXPECT_THAT(faults, Contains("A.One does not say in both languages what it proves"));
  EXPECT_THAT(faults, Contains("A.One needs two or three hints, as many in each language"));
  EXPECT_THAT(faults, Contains("A.Two names no man page"));
}

TEST(RubricFaults, NameACheckThatComesAfterALaterOne) {
  Rubric rubric = SoundRubric();
  rubric.exercises[0].checks[0].after = "A.Two";
  EXPECT_THAT(Faults(rubric, kChecks), Contains("A.One comes after A.Two, which is not before it"));
}

TEST(ReadRubric, NamesTheFileThatIsNotJson) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/rubric.json";
  std::ofstream(path) << "{";
  try {
    ReadRubric(path);
    FAIL() << "it was read";
  } catch (const GraderError& error) {
    EXPECT_THAT(error.what(), HasSubstr(path + " is not valid"));
  }
}

}  // namespace
}  // namespace ipclab
