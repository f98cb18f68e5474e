// Observers of the steps: nothing in hardware; in simulation a hook that a testbench hangs in, so
// that what it sees is what the tops themselves compute.
#ifndef PCEDGE_OBSERVER_HPP
#define PCEDGE_OBSERVER_HPP

#include "../program/step.hpp"

#ifdef __SYNTHESIS__

namespace pcedge {

/// \brief Sees nothing.
struct step_observer {
  template <class E> void step(const E &, const step_t &) {}
  template <class B> void interval(B, B) {}
};

} // namespace pcedge

#else

#include <vector>

namespace pcedge {

/// \brief What a testbench implements.
struct step_hook {
  /// \param words mantissas of the step's result
  virtual void step(const std::vector<std::int64_t> &words, std::int64_t exponent) = 0;
  /// \brief The ends of the interval that was coded.
  virtual void interval(std::uint64_t start, std::uint64_t end) = 0;

protected:
  ~step_hook() = default;
};

/// \brief The hook of this simulation, or null.
inline step_hook *&current_hook() {
  static step_hook *hook = nullptr;
  return hook;
}

/// \brief Tells the hook, if there is one.
struct step_observer {
  template <class E> void step(const E &engine, const step_t &step) {
    if (!current_hook())
      return;
    std::vector<std::int64_t> words(step.units);
    for (unsigned k = 0; k < step.units; ++k)
      words[k] = std::int64_t(std::uint64_t(engine.state[step.target + k]));
    current_hook()->step(words, std::int64_t(engine.exponents[step.target_exponent]));
  }
  template <class B> void interval(B start, B end) {
    if (current_hook())
      current_hook()->interval(std::uint64_t(start), std::uint64_t(end));
  }
};

} // namespace pcedge

#endif

#endif
