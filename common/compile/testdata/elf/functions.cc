extern "C" int toy_answer(int question) { return question + 1; }
extern "C" int toy_count(const char* text) { return text[0]; }
extern "C" {
int toy_variable = 1;
}
int main() { return 0; }
