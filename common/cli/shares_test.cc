// How the checks of a lab are divided among graders, and what becomes of their results.

#include "common/cli/shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RubricExercise ExerciseOf(const std::string& id, const std::vector<std::string>& checks) {
  RubricExercise exercise{.id = id};
  for (const std::string& check : checks) exercise.checks.push_back({.id = check, .points = 1});
  return exercise;
}

Rubric ToyRubric() {
  return {"toy",
          {ExerciseOf("toy.1", {"A.One", "A.Two"}),
           ExerciseOf("toy.2", {"B.One", "B.Two", "B.Three"}), ExerciseOf("toy.3", {"C.One"})}};
}

// As a grader would give it: every check of the share passed.
LabResult PartOf(const Share& share) {
  LabResult part;
  const Rubric rubric = ToyRubric();
  for (const std::string& id : share) {
    const std::string exercise = rubric.ExerciseOf(id)->id;
    part.checks.push_back({.id = id, .exercise = exercise, .points = 1, .max_points = 1});
    if (part.exercises.empty() || part.exercises.back().id != exercise) {
      part.exercises.push_back({.id = exercise});
    }
  }
  part.score = part.max_score = static_cast<double>(share.size());
  return part;
}

TEST(ShareOut, KeepsExercisesWholeAndSharesEven) {
  EXPECT_THAT(ShareOut(ToyRubric(), {}, 2), ElementsAre(ElementsAre("B.One", "B.Two", "B.Three"),
                                                        ElementsAre("A.One", "A.Two", "C.One")));
}

TEST(ShareOut, GivesNobodyNothing) {
  EXPECT_EQ(ShareOut(ToyRubric(), {}, 64).size(), 3u);
  EXPECT_THAT(ShareOut(ToyRubric(), {"C.One"}, 64), ElementsAre(ElementsAre("C.One")));
  EXPECT_THAT(ShareOut({"toy", {}}, {}, 64), IsEmpty());
}

TEST(ShareOut, GivesOnlyWhatIsWanted) {
  EXPECT_THAT(ShareOut(ToyRubric(), {"B.Three", "A.Two"}, 1),
              ElementsAre(ElementsAre("A.Two", "B.Three")));
}

TEST(PutTogether, IsInTheRubricsOrderWhoeverWasFirst) {
  const std::vector<Share> shares = ShareOut(ToyRubric(), {}, 2);

  const LabResult lab = PutTogether(ToyRubric(), shares, {PartOf(shares[0]), PartOf(shares[1])});

  EXPECT_EQ(lab.error, "");
  EXPECT_EQ(lab.score, 6);
  EXPECT_EQ(lab.max_score, 6);
  std::vector<std::string> ids;
  for (const CheckResult& check : lab.checks) ids.push_back(check.id);
  EXPECT_THAT(ids, ElementsAre("A.One", "A.Two", "B.One", "B.Two", "B.Three", "C.One"));
  std::vector<std::string> exercises;
  for (const ExerciseResult& exercise : lab.exercises) exercises.push_back(exercise.id);
  EXPECT_THAT(exercises, ElementsAre("toy.1", "toy.2", "toy.3"));
}

TEST(PutTogether, OfNothingIsAnError) {
  EXPECT_EQ(PutTogether(ToyRubric(), {}, {}).error, "no check ran");
}

// What PutTogether says when one part of two is changed by `spoil`.
LabResult Spoiled(void (*spoil)(LabResult& part)) {
  const std::vector<Share> shares = ShareOut(ToyRubric(), {}, 2);
  LabResult part = PartOf(shares[1]);
  spoil(part);
  return PutTogether(ToyRubric(), shares, {PartOf(shares[0]), std::move(part)});
}

TEST(PutTogether, GivesNoPointsIfOnePartCouldNotBeGraded) {
  const LabResult lab = Spoiled([](LabResult& part) { part.error = "no box"; });
  EXPECT_EQ(lab.error, "no box");
  EXPECT_EQ(lab.score, 0);
  EXPECT_EQ(lab.max_score, 0);
  EXPECT_THAT(lab.checks, IsEmpty());
}

TEST(PutTogether, WantsOneResultForEveryCheck) {
  EXPECT_EQ(Spoiled([](LabResult& part) { part.checks.pop_back(); }).error,
            "the grader has no result for the check C.One");
  EXPECT_EQ(Spoiled([](LabResult& part) { part.checks.push_back(part.checks[0]); }).error,
            "the grader has more than one result for the check A.One");
  EXPECT_EQ(Spoiled([](LabResult& part) { part.checks.push_back({.id = "B.One"}); }).error,
            "the grader has a result nobody asked for: B.One");
}

}  // namespace
}  // namespace ipclab
